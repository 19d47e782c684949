package brokerurl

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestAURLShowsNoSecret(t *testing.T) {
	for text, want := range map[URL]struct{ shown, name string }{
		"":                                  {"", ""},
		"none":                              {"none", "none"},
		"mqtts://a.example.net:8883":        {"mqtts://a.example.net:8883", "mqtts://a.example.net:8883"},
		"mqtt://[2001:db8::1]:1883":         {"mqtt://[2001:db8::1]:1883", "mqtt://[2001:db8::1]:1883"},
		"wss://h/mqtt":                      {"wss://h/mqtt", "wss://h/mqtt"},
		"WSS://h/a%20b":                     {"wss://h/a%20b", "wss://h/a%20b"},
		"wss://h/mqtt?token=hunter2":        {"wss://h/mqtt?<secret>", "wss://h/mqtt"},
		"wss://h/mqtt#hunter2":              {"wss://h/mqtt?<secret>", "wss://h/mqtt"},
		"wss://h?hunter2":                   {"wss://h?<secret>", "wss://h"},
		"mqtts://gw:hunter2@h":              {"mqtts://<secret>@h", "mqtts://h"},
		"mqtts://hunter2@h:1":               {"mqtts://<secret>@h:1", "mqtts://h:1"},
		"http://a:b@hunter2@proxy:1":        {"http://<secret>@proxy:1", "http://proxy:1"},
		"socks5://x hunter2@proxy":          {"socks5://<secret>@proxy", "socks5://proxy"},
		"wss://gw:hunter2@h/mqtt?t=hunter2": {"wss://<secret>@h/mqtt?<secret>", "wss://h/mqtt"},
		"mqtts://gw:12/hunter2@h":           {"mqtts://…", "mqtts://…"}, // a slash in a password makes it a path
		"mqtts://gw:12?hunter2@h":           {"mqtts://…", "mqtts://…"},
		"mqtts://gw:12#hunter2@h":           {"mqtts://…", "mqtts://…"},
		"mqtts://gw:12/x@hunter2@h":         {"mqtts://…", "mqtts://…"},
		"mqtts://hunter2/x@h":               {"mqtts://…", "mqtts://…"},
		"wss://hunter2/x?a#=b@h":            {"wss://…", "wss://…"},
		"wss://h.example.net/m@hunter2":     {"wss://h.example.net/…", "wss://h.example.net/…"},
		"wss://h.net:8443/m?u=hunter2@x":    {"wss://h.net:8443/m?<secret>", "wss://h.net:8443/m"},
		"wss://h.net?hunter2@x":             {"wss://h.net?<secret>", "wss://h.net"},
		"wss://h.net#hunter2@x":             {"wss://h.net?<secret>", "wss://h.net"},
		"ws://broker:8080/m?mail=hunter2@x": {"ws://broker:8080/m?<secret>", "ws://broker:8080/m"},
		"wss://gw:hunter2@h.nl/m@n?u=a@b":   {"wss://<secret>@h.nl/…?<secret>", "wss://h.nl/…"},
		"mqtts://gw:1@hunter2.x/y@h":        {"mqtts://…", "mqtts://…"},
		"mqtts://gw.net:1/hunter2@h":        {"mqtts://…", "mqtts://…"},
		"http://gw.net:1/hunter2@h":         {"http://…", "http://…"},
		"ws://[2001:db8::1]:80/hunter2@n":   {"ws://[2001:db8::1]:80/…", "ws://[2001:db8::1]:80/…"},
		"ws://localhost/mqtt/hunter2@n":     {"ws://localhost/…", "ws://localhost/…"},
		"mqtts://gw:hunter2":                {"mqtts://…", "mqtts://…"}, // the host was forgotten
		"mqtts://gw:hunter2%zz@h":           {"mqtts://<secret>@h", "mqtts://h"},
		"mqtts://h:hunter2/x":               {"mqtts://…", "mqtts://…"},
		"hunter2":                           {"…", "…"},
		"gopher://h":                        {"gopher://h", "gopher://h"},
		"my hunter2://h":                    {"…", "…"},
		"word://hunter2 x":                  {"…", "…"},
		"mqtts:hunter2@h":                   {"…", "…"},
	} {
		if got := text.String(); got != want.shown {
			t.Errorf("%s is shown as %s, want %s", string(text), got, want.shown)
		}
		if got := text.Name(); got != want.name {
			t.Errorf("%s has the name %s, want %s", string(text), got, want.name)
		}
		inJSON, err := json.Marshal(map[string]any{"url": text, "struct": struct{ U URL }{text}})
		if err != nil {
			t.Fatal(err)
		}
		p, err := text.Parse()
		inText := fmt.Sprintf("%v %s %q %x %+v %#v", text, text, text, struct{ U URL }{text}, text, text)
		for _, printed := range []string{string(inJSON), inText, fmt.Sprint(err)} {
			if strings.Contains(printed, "hunter2") || strings.Contains(printed, "68756e74657232") {
				t.Errorf("%s is printed as %s", string(text), printed)
			}
		}
		if err == nil && text.Host() != p.Hostname() {
			t.Errorf("%s has the host %s", string(text), text.Host())
		}
	}
}

func TestWhatLeavesThisMachineInClear(t *testing.T) {
	for text, want := range map[URL]struct{ clear, loopback bool }{
		"mqtt://127.0.0.1:1883": {true, true}, "ws://127.9.9.9/mqtt": {true, true}, "mqtt://[::1]": {true, true},
		"mqtt://localhost": {true, true}, "mqtt://LOCALHOST.:1": {true, true}, "mqtt://[::ffff:127.0.0.1]": {true, true},
		"mqtt://localhost.example.net": {true, false}, "mqtt://127.0.0.1.example.net": {true, false},
		"mqtt://10.0.0.1":    {true, false},
		"ws://[2001:db8::1]": {true, false}, "mqtt://0.0.0.0": {true, false},
		"mqtts://b": {false, false}, "wss://127.0.0.1": {false, true}, "hunter2": {false, false},
	} {
		if text.InClear() != want.clear || text.OnLoopback() != want.loopback {
			t.Errorf("%s: in clear %v, on loopback %v", text, text.InClear(), text.OnLoopback())
		}
	}
}

func TestGiven(t *testing.T) {
	for text, want := range map[string]URL{"": "", "h": "mqtt://h", "h:1883": "mqtt://h:1883", "h:8883": "mqtts://h:8883",
		"[::1]:8883": "mqtts://[::1]:8883",
		"h:18883":    "mqtt://h:18883", "mqtt://h:8883": "mqtt://h:8883", "gw:pw@h:8883": "mqtts://gw:pw@h:8883"} {
		if got := Given(text, false); got != want {
			t.Errorf("%s is %s, want %s", text, got.Reveal(), want.Reveal())
		}
	}
	if got := Given("h", true); got != "mqtts://h" {
		t.Error(got)
	}
}

func TestRename(t *testing.T) {
	for text, want := range map[string]string{
		"wwan0 via 10.0.0.1 hint 8944 wss://a/mqtt?token=x": "wwan0 via 10.0.0.1 hint 8944 wss://a/mqtt",
		"eth0 mqtts://a:8883":                               "eth0 mqtts://a:8883",
		"wss://a?x":                                         "wss://a",
		"eth0 hint see ws://b?y wss://a/mqtt?x=y z":         "eth0 hint see ws://b?y wss://a/mqtt",
		"wss://a/mqtt?next=mqtt://b":                        "wss://a/mqtt",
		"before":                                            "before",
		"":                                                  "",
	} {
		if got := Rename(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

func TestScrub(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "nothing :// here": "nothing :// here",
		`{"server":"wss://h/mqtt?token=x\u0026u=y","why":"reset"}`: `{"server":"wss://h/mqtt?<secret>","why":"reset"}`,
		"wss://h/mqtt?token=x: reset":                              "wss://h/mqtt?<secret> reset",
		"http://gw:pw@p:3128: refused; next mqtts://b:8883, in 3s": "http://… refused; next mqtts://b:8883, in 3s",
		"at mqtts://gw:pw@p:1 and mqtt://tok@[::1]":                "at mqtts://<secret>@p:1 and mqtt://<secret>@[::1]",
		"tcp://10.0.0.5:4001 and ftp://a@b":                        "tcp://10.0.0.5:4001 and ftp://<secret>@b",
	} {
		if got := Scrub(text); got != want {
			t.Errorf("%s\nis %s\nwant %s", text, got, want)
		}
	}
}

// A scheme in capitals is dialled like any other (RFC 3986, section 3.1), so it hides a login no better.
func TestCapitalsHideNoLoginInClear(t *testing.T) {
	for _, url := range []URL{"MQTT://broker.example.net", "Ws://broker.example.net/mqtt", "mQtT://192.0.2.1:1883"} {
		if !url.InClear() {
			t.Errorf("%s is not in clear", url)
		}
	}
	for _, url := range []URL{"MQTTS://broker.example.net", "WSS://broker.example.net"} {
		if url.InClear() {
			t.Errorf("%s is in clear", url)
		}
	}
}
