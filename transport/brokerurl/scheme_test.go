package brokerurl

import "testing"

func TestEachSchemeIsFoundByItsName(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range schemes {
		if s.Port == "" {
			t.Errorf("%s has no port", s.Name)
		}
		if got, ok := Named(s.Name); !ok || got.Port != s.Port {
			t.Errorf("%s by its name: %+v", s.Name, got)
		}
		if got, ok := Of(s.Name + "://host:1/x:y"); !ok || got.Name != s.Name {
			t.Errorf("%s of a URL: %+v", s.Name, got)
		}
		for _, name := range append(s.Mistaken, s.Name) {
			if seen[name] {
				t.Errorf("%s means two schemes", name)
			}
			seen[name] = true
			if got, _ := Meant(name); got.Name != s.Name {
				t.Errorf("who writes %s means %q, want %s", name, got.Name, s.Name)
			}
		}
	}
	for _, url := range []string{"", "tcp://h", "host:1883", "://h"} {
		if s, ok := Of(url); ok {
			t.Errorf("%q has the scheme %s", url, s.Name)
		}
	}
	if s, ok := Of("WsS://h"); !ok || s.Name != "wss" { // as it is dialled
		t.Errorf("WsS has the scheme %q", s.Name)
	}
	if s, ok := Meant("SSL"); !ok || s.Name != "mqtts" {
		t.Errorf("SSL means %q", s.Name)
	}
	if s, ok := Meant("gopher"); ok {
		t.Errorf("gopher means %q", s.Name)
	}
}

func TestList(t *testing.T) {
	for _, tt := range []struct {
		suffix, before string
		fits           func(Scheme) bool
		want           string
	}{
		{"", "or", nil, "mqtt, mqtts, ws or wss"},
		{"://", "and", func(s Scheme) bool { return s.WebSocket }, "ws:// and wss://"},
		{"://", "or", func(s Scheme) bool { return s.Name == "ws" }, "ws://"},
		{"", "or", func(Scheme) bool { return false }, ""},
	} {
		if got := List(tt.suffix, tt.before, tt.fits); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}
