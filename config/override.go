package config

import (
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

const envPrefix = "LINKBEAT_"

// override applies the LINKBEAT_ variables: the path of a key in capitals, with _ for the dots. Lists are split at commas;
// uplink.servers takes URLs. An empty variable is no override. Serial devices must be in the file already.
func (d *decoder) override(doc *Document, o ParseOptions, skip map[string]bool) {
	environ := slices.Sorted(slices.Values(o.Environ))
	for _, entry := range environ {
		name, text, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, envPrefix) || text == "" || skip[name] || slices.Contains(o.Known, name) {
			continue
		}
		d.variable, d.device = name, ""
		a := at{pos: &pos{env: name}}
		if !d.set(a, reflect.ValueOf(doc).Elem(), strings.TrimPrefix(name, envPrefix), text) {
			d.device = ""
			d.warn(at{pos: &pos{env: name}}, "names no key, so it has no effect%s", didYouMeanEnv(name))
		}
	}
}

// set finds the key that rest names below v and reads text into it; false when there is none.
func (d *decoder) set(a at, v reflect.Value, rest, text string) bool {
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if _, ok := v.Interface().(map[string]*SerialDevice); ok {
		return d.setSerial(a, v, rest, text)
	}
	if v.Kind() != reflect.Struct {
		return false
	}
	for f := range v.Type().Fields() {
		key := keyOf(f)
		below, ok := cutName(rest, key)
		if key == "" || !ok {
			continue
		}
		field := v.FieldByIndex(f.Index)
		c := a.child(key, a.pos, f.Tag)
		if below != "" {
			if d.set(c, field, below, text) {
				return true
			}
			continue
		}
		node := nodeFor(field, text)
		if node == nil {
			return false
		}
		d.positions[c.path] = c.pos
		d.value(c, node, field)
		return true
	}
	return false
}

func (d *decoder) setSerial(a at, v reflect.Value, rest, text string) bool {
	for _, name := range sortedKeys(v.Interface().(map[string]*SerialDevice)) {
		below, ok := cutName(rest, name)
		if !ok || below == "" {
			continue
		}
		d.device = name
		if d.set(a.child(name, a.pos, ""), v.MapIndex(reflect.ValueOf(name)), below, text) {
			return true
		}
	}
	return false
}

// cutName takes a key, written as in a variable, off the front of rest.
func cutName(rest, key string) (below string, ok bool) {
	name := envName(key)
	if rest == name {
		return "", true
	}
	return strings.CutPrefix(rest, name+"_")
}

// envName is a key in capitals, with _ for everything that a variable's name cannot hold.
func envName(key string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		default:
			return '_'
		}
	}, key)
}

// nodeFor is text as the tree of v's type: one value, or a list; nil for what a variable cannot say.
func nodeFor(v reflect.Value, text string) *yaml.Node {
	switch v.Interface().(type) {
	case []Server:
		return listOf(text, func(item string) *yaml.Node {
			return &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{scalar("url"), scalar(item)}}
		})
	case []string, Command, []Hex:
		return listOf(text, scalar)
	case Raw, map[string]*SerialDevice, map[string]*Unit, map[string]Fact:
		return nil
	}
	if _, leaf := v.Addr().Interface().(interface{ UnmarshalText([]byte) error }); v.Kind() == reflect.Struct && !leaf {
		return nil
	}
	return scalar(text)
}

func listOf(text string, item func(string) *yaml.Node) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode}
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			n.Content = append(n.Content, item(part))
		}
	}
	return n
}

func scalar(text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
}

// didYouMeanEnv suggests a variable for a mistyped one, of keys two levels deep.
func didYouMeanEnv(name string) string {
	const most = 2 // the names have much in common
	var names []string
	for f := range reflect.TypeFor[Document]().Fields() {
		section := envPrefix + envName(keyOf(f))
		if f.Type.Kind() != reflect.Struct {
			names = append(names, section)
			continue
		}
		for g := range f.Type.Fields() {
			if nodeFor(reflect.New(g.Type).Elem(), "") != nil {
				names = append(names, section+"_"+envName(keyOf(g)))
			}
		}
	}
	return nearest(name, names, most)
}
