package netdial

import (
	"strings"
	"testing"

	"github.com/linkbeat/linkbeat/transport/brokerurl"
)

func TestViaURLs(t *testing.T) {
	for text, addr := range map[string]string{
		"http://proxy": "proxy:80", "socks5://gw:secret@proxy": "proxy:1080", "http://[2001:db8::1]:3128/": "[2001:db8::1]:3128",
		"https://proxy": "", "http://": "", "http://gw:sec ret@proxy": "", "proxy:3128": "",
	} {
		v, err := NewProxy(brokerurl.URL(text))
		switch {
		case (err == nil) != (addr != ""), err == nil && v.Addr != addr:
			t.Errorf("%s: %+v, %v", text, v, err)
		case err != nil && strings.Contains(err.Error(), "sec"), v != nil && strings.Contains(v.Name, "secret"):
			t.Errorf("%s: the password shows", text)
		}
	}
}

func TestEnvironmentNamesTheProxy(t *testing.T) {
	for _, tt := range []struct{ all, no, server, want string }{
		{"", "", "mqtt://broker.example.net", ""},
		{"socks5://proxy.example.net", "", "mqtt://127.0.0.1:1883", ""},
		{"socks5://proxy.example.net", "", "mqtt://localhost", ""},
		{"socks5://proxy.example.net", "", "mqtt://[::1]:1883", ""},
		{"socks5://u:p@proxy.example.net", "", "mqtts://broker.example.net", "socks5://proxy.example.net"},
		{"socks5://proxy.example.net", "example.net", "mqtts://broker.example.net:8883", ""},
		{"socks5://proxy.example.net", "other.net", "mqtts://broker.example.net:8883", "socks5://proxy.example.net"},
	} {
		for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"} {
			t.Setenv(name, "")
		}
		t.Setenv("ALL_PROXY", tt.all)
		t.Setenv("NO_PROXY", tt.no)
		v, err := ProxyFor("", brokerurl.URL(tt.server))
		got := ""
		if v != nil {
			got = v.Name
		}
		if err != nil || got != tt.want {
			t.Errorf("%+v: %q, %v", tt, got, err)
		}
		if v, _ := ProxyFor(NoProxy, brokerurl.URL(tt.server)); v != nil {
			t.Errorf("none: %v", v)
		}
	}
}
