package config

import (
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Effective is the document as it is in force, defaults included, as YAML; secrets are hidden.
func (d *Document) Effective() []byte {
	p, err := yaml.Marshal(d)
	if err != nil {
		return []byte("# " + err.Error() + "\n") // unreachable: a test marshals every field
	}
	return p
}

// ForOthers is the effective document for somebody else's eyes: the arguments of commands are hidden too.
func (d *Document) ForOthers() []byte {
	c := *d
	c.Device.Facts = maps.Clone(d.Device.Facts)
	for name, f := range c.Device.Facts {
		f.Command = f.Command.bare()
		c.Device.Facts[name] = f
	}
	c.Uplink.PathHint.Command = d.Uplink.PathHint.Command.bare()
	c.Hooks = Hooks{Up: d.Hooks.Up.bare(), Down: d.Hooks.Down.bare()}
	return c.Effective()
}

// Commands are all that the document names.
func (d *Document) Commands() []Command {
	all := []Command{d.Uplink.PathHint.Command, d.Hooks.Up, d.Hooks.Down}
	for _, name := range sortedKeys(d.Device.Facts) {
		all = append(all, d.Device.Facts[name].Command)
	}
	return all
}

// withoutPrograms is the document with no program that runs: neither hooks, nor facts by a command, nor a path_hint. had: there
// was one.
func (d *Document) withoutPrograms() (_ *Document, had bool) {
	c := *d
	c.Device.Facts = maps.Clone(d.Device.Facts)
	maps.DeleteFunc(c.Device.Facts, func(_ string, f Fact) bool { return len(f.Command) > 0 })
	c.Uplink.PathHint, c.Hooks = Fact{}, Hooks{}
	return &c, slices.ContainsFunc(d.Commands(), func(c Command) bool { return len(c) > 0 })
}

// Change is one path whose value differs between two documents, as the log shows it.
type Change struct {
	Path string `json:"path"`
	Old  string `json:"old"` // "": the path was not there; secrets are hidden
	New  string `json:"new"` // "": the path is gone
}

// String is the change in one line.
func (c Change) String() string {
	switch {
	case c.Old == "":
		return fmt.Sprintf("%s: added %s", c.Path, c.New)
	case c.New == "":
		return fmt.Sprintf("%s: removed %s", c.Path, c.Old)
	default:
		return fmt.Sprintf("%s: %s → %s", c.Path, c.Old, c.New)
	}
}

// Diff lists what changed from a to b, by path. A changed secret is a change, although both sides read <secret>.
func Diff(a, b *Document) []Change {
	before, after := flatten(a), flatten(b)
	paths := map[string]bool{}
	for p := range before {
		paths[p] = true
	}
	for p := range after {
		paths[p] = true
	}
	var changes []Change
	for _, p := range slices.Sorted(maps.Keys(paths)) {
		if before[p].exact != after[p].exact {
			changes = append(changes, Change{Path: p, Old: before[p].shown, New: after[p].shown})
		}
	}
	return changes
}

// leaf is one value of a document: as it is compared and as it is shown.
type leaf struct{ exact, shown string }

func flatten(d *Document) map[string]leaf {
	leaves := map[string]leaf{}
	flattenInto(leaves, "", reflect.ValueOf(d).Elem())
	return leaves
}

func flattenInto(leaves map[string]leaf, path string, v reflect.Value) {
	switch x := v.Interface().(type) {
	case Secret:
		leaves[path] = leaf{"secret " + x.Reveal(), x.String()}
		return
	case ServerURL:
		leaves[path] = leaf{"text " + x.Reveal(), fmt.Sprintf("%q", x.String())}
		return
	case FileName:
		leaves[path] = leaf{"text " + string(x), fmt.Sprintf("%q", x.String())}
		return
	case Command:
		leaves[path] = leaf{"command " + strings.Join(x, "\x00"), x.Shown()}
		return
	case Raw:
		leaves[path] = leaf{"raw " + x.text(), strings.TrimSpace(x.text())}
		return
	case encoding.TextMarshaler:
		text, err := x.MarshalText()
		if err != nil {
			text = []byte(err.Error())
		}
		leaves[path] = leaf{"text " + string(text), string(text)}
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		flattenInto(leaves, path, v.Elem())
	case reflect.Struct:
		for f, field := range v.Fields() {
			if key := keyOf(f); key != "" {
				flattenInto(leaves, join(path, key), field)
			}
		}
	case reflect.Map:
		for key, value := range v.Seq2() {
			flattenInto(leaves, join(path, key.String()), value)
		}
	case reflect.Slice:
		for i := range v.Len() {
			flattenInto(leaves, fmt.Sprintf("%s[%d]", path, i), v.Index(i))
		}
	case reflect.String:
		leaves[path] = leaf{"text " + v.String(), fmt.Sprintf("%q", v.String())}
	default:
		text := fmt.Sprint(v.Interface())
		leaves[path] = leaf{"text " + text, text}
	}
}
