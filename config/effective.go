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
	case ProxyURL:
		leaves[path] = leaf{"text " + string(x), fmt.Sprintf("%q", x.String())}
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
