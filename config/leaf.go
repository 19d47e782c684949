package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// raw keeps a part that this version does not understand.
func (d *decoder) raw(a at, n *yaml.Node, v *Raw) {
	if holdsAlias(n) {
		d.fault(a, "must not use aliases here")
		return
	}
	if *v = (Raw{bare(n)}); v.IsZero() {
		*v = Raw{}
		return
	}
	d.noEffect(a)
}

// holdsAlias needs no guard against endless trees: only an alias can make one.
func holdsAlias(n *yaml.Node) bool {
	return n.Kind == yaml.AliasNode || slices.ContainsFunc(n.Content, holdsAlias)
}

// leaf reads a plain value: its text goes to set, then the rules of the field are applied. A faulty one leaves the default.
func (d *decoder) leaf(a at, n *yaml.Node, v reflect.Value, set func([]byte) error) {
	if n.Kind != yaml.ScalarNode {
		d.fault(a, "must be one value, not a %s", kindName(n))
		return
	}
	if n.Tag == "!!null" {
		d.fault(a, "has no value: remove the key for the default, or write \"\" for an empty text")
		return
	}
	text, expanded, ok := d.expand(a, n.Value)
	if !ok {
		return
	}
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) { // [MQTT-1.5.3-1], [MQTT-1.5.3-2]
		d.fault(a, "must be UTF-8 text without NUL")
		return
	}
	before := reflect.New(v.Type()).Elem()
	before.Set(v)
	err := set([]byte(text))
	if err == nil {
		err = checkRules(v, a.rules)
	}
	if err != nil {
		v.Set(before)
		d.fault(a, "%s%s", err, got(n.Value, expanded, v.Type()))
		return
	}
	if v.Type() == reflect.TypeFor[string]() && !ofProgram(a.path) { // passwords have a type of their own, and may hold anything
		d.mustShow(a, v.String())
	}
	if !expanded && d.variable == "" && d.secretAt.path == "" && holdsSecret(v) {
		d.secretAt = a
	}
	if !reflect.DeepEqual(before.Interface(), v.Interface()) {
		d.noEffect(a)
	}
}

// ofProgram is true for a word of a command: a script may have several lines.
func ofProgram(path string) bool {
	return strings.HasPrefix(path, "hooks.") || strings.Contains(path, ".command[")
}

// holdsSecret is true for a value that must not be read by others.
func holdsSecret(v reflect.Value) bool {
	switch x := v.Interface().(type) {
	case Secret:
		return !x.IsZero()
	case ServerURL:
		return x.HoldsSecret()
	}
	return false
}

// got quotes what the file says, never what a variable holds: that may be a secret.
func got(source string, expanded bool, t reflect.Type) string {
	const most = 60
	secret := t == reflect.TypeFor[Secret]() || t == reflect.TypeFor[ServerURL]() || t == reflect.TypeFor[FileName]()
	if expanded || secret || len(source) > most {
		return ""
	}
	return fmt.Sprintf(" (here: %q)", source)
}

// noEffect is called for a value that differs from the default; it warns when this version has no use for it.
func (d *decoder) noEffect(a at) {
	if a.unsupported {
		d.warn(a, "is not supported in this version and has no effect")
	}
}

// setPlain sets a string, number or truth value.
func setPlain(v reflect.Value, text string) error {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		switch strings.ToLower(text) {
		case "true":
			v.SetBool(true)
		case "false":
			v.SetBool(false)
		default:
			return fmt.Errorf("must be true or false")
		}
	case reflect.Int:
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return fmt.Errorf("must be a whole number")
		}
		v.SetInt(n)
	case reflect.Float64:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("must be a number")
		}
		v.SetFloat(f)
	default:
		return fmt.Errorf("cannot be set") // unreachable: a test walks every field
	}
	return nil
}

func kindName(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "mapping"
	case n.Kind == yaml.SequenceNode:
		return "list"
	case n.Tag == "!!null":
		return "nothing"
	default:
		return "single value"
	}
}
