package netdial

import (
	"strings"
	"testing"

	"github.com/linkbeat/linkbeat/transport/brokerurl"
)

func TestServers(t *testing.T) {
	for _, tt := range []struct {
		url             brokerurl.URL
		name, addr, err string
	}{
		{"mqtt://h", "mqtt://h", "h:1883", ""},
		{"mqtts://h", "mqtts://h", "h:8883", ""},
		{"ws://h/x", "ws://h/x", "h:80", ""},
		{"wss://[::1]:9", "wss://[::1]:9", "[::1]:9", ""},
		{"mqtt://u:secret@h:7", "mqtt://h:7", "h:7", ""},
		{"wss://h/mqtt?token=secret", "wss://h/mqtt", "h:443", ""},
		{"wss://secret:@h/mqtt?secret#secret", "wss://h/mqtt", "h:443", ""},
		{"tcp://u:secret@h", "", "", "scheme must be"},
		{"mqtt://", "", "", "host is missing"},
		{"mqtt://u:secret@h:x", "", "", "not a URL"},
	} {
		e, err := NewEndpoint(Server{URL: tt.url})
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s: %v", tt.url, err)
			}
			continue
		}
		if err != nil || e.Name != tt.name || e.Addr != tt.addr {
			t.Errorf("%s: %+v, %v", tt.url, e, err)
		}
	}
	e, _ := NewEndpoint(Server{URL: "mqtt://u:secret@h"})
	if p, _ := e.ReadPassword(); e.Username != "u" || p != "secret" {
		t.Errorf("user %q, password %q", e.Username, p)
	}
}

func TestWhatIsWithheldIsNotSent(t *testing.T) {
	for _, s := range []Server{
		{URL: "ws://h/mqtt", Username: "gw", Password: func() (string, error) { return "secret", nil }},
		{URL: "ws://gw:secret@h/mqtt"},
		{URL: "ws://h/mqtt?token=secret"},
	} {
		s.Withhold = true
		e, err := NewEndpoint(s)
		if err != nil {
			t.Fatal(err)
		}
		if p, err := e.ReadPassword(); p != "" || err != nil || e.Username != "" || e.url.String() != "ws://h/mqtt" {
			t.Errorf("%s: user %q, password %q, %v, dials %s", s.URL, e.Username, p, err, e.url)
		}
	}
}
