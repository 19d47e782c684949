package config

import (
	"encoding"
	"reflect"
	"strings"
	"testing"

	"github.com/linkbeat/linkbeat/firmware-bridge/framing"
)

// Every field has a key, a type that the reader knows, and tags that are sound; and the defaults keep the rules.
func TestEveryField(t *testing.T) {
	doc := Defaults()
	doc.Uplink.Servers = []Server{{URL: "mqtt://h"}}
	doc.Serial["meter"] = DefaultSerial()
	fields := 0
	var walk func(path string, v reflect.Value)
	walk = func(path string, v reflect.Value) {
		for f, field := range v.Fields() {
			key := keyOf(f)
			p := join(path, key)
			if key == "" || key != strings.ToLower(key) {
				t.Errorf("%s.%s has the key %q", path, f.Name, key)
			}
			fields++
			_, text := field.Addr().Interface().(encoding.TextUnmarshaler)
			_, raw := field.Addr().Interface().(*Raw)
			switch kind := field.Kind(); {
			case text, kind == reflect.String, kind == reflect.Int, kind == reflect.Bool, kind == reflect.Float64:
				if strings.Contains(string(f.Tag), "omitempty") && field.IsZero() {
					for _, tag := range []string{"min", "max"} {
						if limit := f.Tag.Get(tag); limit != "" {
							compare(field, limit) // panics for a limit that its own type cannot read
						}
					}
				} else if err := checkRules(field, f.Tag); err != nil {
					t.Errorf("the default of %s: %s", p, err)
				}
			case raw:
			case kind == reflect.Struct:
				walk(p, field)
			case p == "serial":
				walk("serial.meter", reflect.ValueOf(doc.Serial["meter"]).Elem())
			case p == "uplink.servers":
				walk("uplink.servers[0]", field.Index(0))
			case p == "serial.meter.units":
				u := &Unit{}
				u.setDefaults()
				walk(p+".x", reflect.ValueOf(u).Elem())
			case p == "serial.meter.units.x.registers":
				r := &Register{}
				r.setDefaults()
				walk(p+".y", reflect.ValueOf(r).Elem())
			case p == "serial.meter.requests.allow":
			case p == "device.facts":
				walk("device.facts.x", reflect.New(reflect.TypeFor[Fact]()).Elem())
			case kind == reflect.Slice && field.Type().Elem().Kind() == reflect.String:
			default:
				t.Errorf("%s has the type %s", p, field.Type())
			}
		}
	}
	walk("", reflect.ValueOf(doc).Elem())
	if fields < 100 {
		t.Errorf("%d fields were looked at", fields)
	}
}

// What framing refuses and no check of ours knows is a fault of the frame as a whole.
func TestFramingHasTheLastWord(t *testing.T) {
	f := DefaultSerial().Frame
	if err := f.tryOut(); err != nil {
		t.Error(err)
	}
	for _, kind := range framing.Kinds() {
		f.Type = kind.Name
		f.Bytes = []byte("more than the sixteen bytes of any delimiter")
		if err := f.tryOut(); err == nil && kind.Name != "line" {
			t.Errorf("%s takes bytes that nothing can be made of", kind.Name)
		}
	}
}

func TestDidYouMean(t *testing.T) {
	words := []string{"username", "password_file", "url", "tls"}
	for word, want := range map[string]string{
		"usrename": "username", "user_name": "username", "USERNAME": "username", "passwordfile": "password_file",
		"ulr": "url", "tsl": "tls", "x": "", "completely": "", "": "", strings.Repeat("username", 20): "",
	} {
		got := didYouMean(word, words)
		if want != "" {
			want = "; did you mean " + want + "?"
		}
		if got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}

func TestEditDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"abc", "xbc", 1},
		{"kitten", "sitting", 3}} {
		if got := editDistance(tt.a, tt.b); got != tt.want {
			t.Errorf("%q %q: %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}
