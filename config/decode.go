package config

import (
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/linkbeat/linkbeat/agent/printable"
)

// Bounds on what a document may cost to read: aliases can make a small file a large tree.
const (
	maxSource = 1 << 20 // bytes of a file
	maxNodes  = 100_000 // visited, through aliases too: 32 units of 64 registers with all their keys are 25 000
	maxDepth  = 32
	maxFaults = 100
)

// decoder lays a tree over a document that holds the defaults and notes what is wrong. One per document.
type decoder struct {
	env       func(name string) (string, bool)
	positions map[string]*pos // of every path that was set
	faults    Faults
	warnings  Faults
	// objections are faults of check and a reload that were none in earlier versions: a gateway that runs must not be cut off by
	// a new version.
	objections Faults
	secretAt   at // the first secret that stands in the file itself; no path: none does
	nodes      int
	depth      int
	device     string // the serial device being read
	variable   string // the LINKBEAT_ variable being read; "": the file
}

// at is where the decoder is: a path, and the rules of the field there.
type at struct {
	path        string
	pos         *pos
	rules       reflect.StructTag
	unsupported bool // inherited: what is in a section without effect has none either
}

func (a at) child(key string, p *pos, rules reflect.StructTag) at {
	c := at{path: join(a.path, key), pos: p, rules: rules}
	c.unsupported = a.unsupported || rules.Get("unsupported") != ""
	return c
}

func join(path, key string) string {
	if key == "" || strings.ContainsAny(key, ".[]\" \n") {
		key = strconv.Quote(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

func (d *decoder) fault(a at, format string, args ...any) { d.add(d.found(a, format, args...)) }

// found is what is wrong at a.
func (d *decoder) found(a at, format string, args ...any) Fault {
	f := Fault{Path: a.path, Device: d.device, Message: fmt.Sprintf(format, args...), pos: a.pos}
	if a.pos != nil {
		f.Line, f.Env = a.pos.line, a.pos.env
	}
	return f
}

// objection reports what is a fault to everybody but the agent that starts.
func (d *decoder) objection(a at, format string, args ...any) {
	if len(d.objections) < maxFaults {
		d.objections = append(d.objections, d.found(a, format, args...))
	}
}

// exposed warns of a secret that others can read; why is empty where they cannot.
func (d *decoder) exposed(a at, why string) {
	if why != "" && len(d.warnings) < maxFaults {
		f := d.found(a, "%s", why)
		f.Exposed = true
		d.warnings = append(d.warnings, f)
	}
}

func (d *decoder) add(f Fault) {
	switch {
	case len(d.faults) < maxFaults:
		d.faults = append(d.faults, f)
	case len(d.faults) == maxFaults:
		d.faults = append(d.faults, Fault{Line: f.Line, pos: f.pos, Message: "too many faults, the rest is not shown"})
	}
}

// faulted is true when path, or what it is in, is at fault.
func (d *decoder) faulted(path string) bool {
	for p := path; p != ""; p = parent(p) {
		for _, f := range d.faults {
			if f.Path == p {
				return true
			}
		}
	}
	return false
}

// faultedBelow is true when path or something in it is at fault.
func (d *decoder) faultedBelow(path string) bool {
	return d.faulted(path) || slices.ContainsFunc(d.faults, func(f Fault) bool { return strings.HasPrefix(f.Path, path+".") })
}

func (d *decoder) warn(a at, format string, args ...any) {
	if len(d.warnings) < maxFaults {
		d.warnings = append(d.warnings, d.found(a, format, args...))
	}
}

// mustShow wants a name or a text that is shown as itself wherever it is: in topics, logs and tables, on the terminals of others.
func (d *decoder) mustShow(a at, text string) {
	if bad := printable.Bad(text); bad != "" {
		d.objection(a, "holds %s, which is not shown as itself and may steer a terminal: leave it out", bad)
	}
}

// value reads n into v, which holds the default.
func (d *decoder) value(a at, n *yaml.Node, v reflect.Value) {
	d.depth++
	defer func() { d.depth-- }()
	if d.nodes++; d.nodes > maxNodes || d.depth > maxDepth {
		if d.nodes <= maxNodes+1 || d.depth > maxDepth {
			d.fault(a, "is nested too deeply or repeats itself too often")
		}
		return
	}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Style&yaml.TaggedStyle != 0 {
		d.fault(a, "has a YAML tag, which is not understood: a text that starts with ! needs quotes")
		return
	}
	if raw, ok := v.Addr().Interface().(*Raw); ok {
		d.raw(a, n, raw)
		return
	}
	if text, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		d.leaf(a, n, v, text.UnmarshalText)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.mapping(a, n, v)
	case reflect.Map:
		d.named(a, n, v)
	case reflect.Slice:
		d.list(a, n, v)
	default:
		d.leaf(a, n, v, func(p []byte) error { return setPlain(v, string(p)) })
	}
}

// mapping reads the fields of a struct.
func (d *decoder) mapping(a at, n *yaml.Node, v reflect.Value) {
	if n.Tag == "!!null" {
		return // a section with everything commented out
	}
	if n.Kind != yaml.MappingNode {
		d.fault(a, "must be a mapping with the keys %s, not a %s", strings.Join(keysOf(v.Type()), ", "), kindName(n))
		return
	}
	for _, p := range d.pairs(a, n) {
		field, ok := fieldNamed(v.Type(), p.key)
		if !ok {
			c := a.child(p.key, p.pos, "")
			d.positions[c.path] = p.pos
			d.fault(c, "unknown key%s", didYouMean(p.key, keysOf(v.Type())))
			continue
		}
		c := a.child(p.key, p.pos, field.Tag)
		d.positions[c.path] = p.pos
		d.value(c, p.value, v.FieldByIndex(field.Index))
	}
}

// named reads a map whose keys are names: serial devices or facts.
func (d *decoder) named(a at, n *yaml.Node, v reflect.Value) {
	if n.Tag == "!!null" {
		return
	}
	if n.Kind != yaml.MappingNode {
		d.fault(a, "must be a mapping by name, not a %s", kindName(n))
		return
	}
	for _, p := range d.namedPairs(a, n) {
		c := a.child(p.key, p.pos, a.rules)
		d.positions[c.path] = p.pos
		d.mustShow(c, p.key)
		if v.Type().Elem() == reflect.TypeFor[*SerialDevice]() {
			d.serial(c, p, v)
			continue
		}
		if v.IsNil() {
			v.Set(reflect.MakeMap(v.Type()))
		}
		v.SetMapIndex(reflect.ValueOf(p.key), d.element(c, p, v.Type().Elem()))
	}
}

// element reads one value of a map, over its defaults if it has some.
func (d *decoder) element(c at, p pair, t reflect.Type) reflect.Value {
	if t.Kind() != reflect.Pointer {
		elem := reflect.New(t).Elem()
		d.value(c, p.value, elem)
		return elem
	}
	elem := reflect.New(t.Elem())
	if with, ok := elem.Interface().(interface{ setDefaults() }); ok {
		with.setDefaults()
	}
	d.value(c, p.value, elem.Elem())
	return elem
}

func (d *decoder) serial(c at, p pair, v reflect.Value) {
	d.device = p.key
	defer func() { d.device = "" }()
	device := DefaultSerial()
	d.value(c, p.value, reflect.ValueOf(device).Elem())
	said := func(key string) bool { return d.positions[c.path+".requests."+key] != nil }
	if r := &device.Requests; r.PerMinute == 0 && said("per_minute") && !said("limit") {
		r.Limit = limitNone // what 0 meant before there was a limit
	}
	v.SetMapIndex(reflect.ValueOf(p.key), reflect.ValueOf(device))
}

// list reads a list; it replaces the default as a whole.
func (d *decoder) list(a at, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		d.fault(a, "must be a list, such as [a, b], not a %s", kindName(n))
		return
	}
	before := v.Interface()
	out := reflect.MakeSlice(v.Type(), 0, min(len(n.Content), maxNodes))
	for i, item := range n.Content {
		if d.nodes > maxNodes {
			break
		}
		p := &pos{line: item.Line, env: d.variable, parent: n, child: item}
		c := at{path: fmt.Sprintf("%s[%d]", a.path, i), pos: p}
		d.positions[c.path] = p
		elem := reflect.New(v.Type().Elem()).Elem()
		d.value(c, item, elem)
		out = reflect.Append(out, elem)
	}
	if out.Len() == 0 && v.Len() == 0 {
		return // nil stays nil
	}
	v.Set(out)
	if !reflect.DeepEqual(before, out.Interface()) {
		d.noEffect(a)
	}
}

// fieldNamed finds the field of a key.
func fieldNamed(t reflect.Type, key string) (reflect.StructField, bool) {
	for f := range t.Fields() {
		if keyOf(f) == key && key != "" {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

func keyOf(f reflect.StructField) string {
	key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return key
}

func keysOf(t reflect.Type) []string {
	var keys []string
	for f := range t.Fields() {
		if key := keyOf(f); key != "" {
			keys = append(keys, key)
		}
	}
	return keys
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
