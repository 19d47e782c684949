package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func write(t *testing.T, dir, text string) string {
	t.Helper()
	name := filepath.Join(dir, "file")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestSecretNeverShows(t *testing.T) {
	const text = "hunter2"
	type inner struct{ hidden Secret } // fmt asks no methods of unexported fields
	value := struct {
		Shown Secret
		Inner inner
		List  []Secret
	}{NewSecret(text), inner{NewSecret(text)}, []Secret{NewSecret(text)}}
	var out []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%p"} {
		out = append(out, fmt.Sprintf(verb, value), fmt.Sprintf(verb, &value), fmt.Sprintf(verb, value.Shown),
			fmt.Sprintf(verb, &value.Shown))
	}
	j, err := json.Marshal(value)
	y, err2 := yaml.Marshal(value)
	out = append(out, string(j), string(y), value.Shown.String(), value.Shown.GoString())
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	for _, s := range out {
		for _, leak := range []string{text, fmt.Sprintf("%x", text), fmt.Sprintf("%X", text), "104 117 110"} {
			if strings.Contains(s, leak) {
				t.Errorf("shows in %s", s)
			}
		}
	}
	if !strings.Contains(string(j), `"Shown":"\u003csecret\u003e"`) || !strings.Contains(string(y), "shown: <secret>") {
		t.Errorf("json %s\nyaml %s", j, y)
	}
	if value.Shown.Reveal() != text || fmt.Sprint(Secret{}) != "" || !NewSecret("").IsZero() {
		t.Error("the text itself is gone, or the empty one is not empty")
	}
}

// A password may end up anywhere. Wherever a variable puts it, and in every key that is meant for it, no fault, warning,
// difference or dump tells it.
func TestNoMessageTellsASecret(t *testing.T) {
	const text = "hunter2"
	o := ParseOptions{Env: func(string) (string, bool) { return text, true }, CheckFile: CheckReadable}
	sources := []string{
		"uplink: {servers: [{url: 'mqtt://u:hunter2@h'}], password: [hunter2]}",
		"uplink: {servers: [{url: 'mqtt://u:hun#ter2@h:hunter2'}, {url: 'hunter2'}, {url: 'hunter2://x'}, " +
			"{url: 'mqtt://h:hunter2'}]}",
		"uplink: {servers: [{url: 'mqtt://h', password: hunter2, password_file: hunter2}], password: hunter2, " +
			"password_file: hunter2}",
		"uplink: {servers: [{url: 'mqtt://h'}], username: u, password: hunter2}",
		"uplink:\n  password: *hunter2\n",
		"uplink:\n  password: !hunter2\n",
		"uplink:\n  password: !hunter2 x\n",
		"uplink:\n  password: {hunter2: x}\n",
		"uplink:\n  password: hunter2: x\n",
		"uplink: {proxy: 'http://u:hunter2@proxy'}\n",
	}
	template := uncommented(t)
	for i, line := range bytes.Split(template, []byte("\n")) {
		key, value, ok := bytes.Cut(line, []byte(": "))
		if !ok || bytes.HasPrefix(bytes.TrimSpace(line), []byte("#")) || bytes.ContainsAny(value[:1], "{[") {
			continue
		}
		lines := bytes.Split(bytes.Clone(template), []byte("\n"))
		lines[i] = append(bytes.Clone(key), `: "${SECRET}"`...)
		sources = append(sources, string(bytes.Join(lines, []byte("\n"))))
	}
	for _, src := range sources {
		doc, warnings, err := Parse([]byte(src), o)
		out := listing(warnings, err)
		if doc != nil && doc.Uplink.Password.Reveal() == text {
			out += string(doc.Effective()) + fmt.Sprint(Diff(Defaults(), doc)) + fmt.Sprintf("%+v", doc)
		}
		if strings.Contains(out, text) {
			t.Errorf("from\n%s\n%s", src, out)
		}
	}
}

func TestProxyLoginIsHidden(t *testing.T) {
	d := Defaults()
	d.Uplink.Proxy = "http://gw:hunter2@proxy.example.net:3128"
	other := Defaults()
	other.Uplink.Proxy = "http://gw:hunter3@proxy.example.net:3128"
	text := string(d.Effective()) + fmt.Sprintf("%v %+v %s", d.Uplink.Proxy, d.Uplink, d.Uplink.Proxy)
	for _, c := range Diff(d, other) {
		text += c.String()
	}
	if strings.Contains(text, "hunter") || !strings.Contains(text, "http://<secret>@proxy.example.net:3128") {
		t.Error(text)
	}
	if len(Diff(d, other)) != 1 {
		t.Error("another login is no change")
	}
}

func TestProxyURL(t *testing.T) {
	for text, want := range map[ProxyURL]string{"": "", "http://proxy:1": "http://proxy:1",
		"http://a:b@c@proxy:1": "http://<secret>@proxy:1", "socks5://x y@proxy": "socks5://<secret>@proxy", NoProxy: "none"} {
		if got := text.String(); got != want {
			t.Errorf("%q: %q", string(text), got)
		}
	}
}

func TestNothingOfADocumentShowsASecret(t *testing.T) {
	const src = `uplink:
  servers: [{url: "wss://a/mqtt?hunter2"}]
  username: gw
  password_file: hunter2
  tls: {ca_file: "-----BEGIN hunter2"}
  path_hint: {command: [curl, hunter2]}
device: {facts: {modem: {command: [curl, "--token=hunter2"]}}}
hooks: {up: [led, hunter2]}
`
	d := mustParse(t, src, ParseOptions{})
	other := mustParse(t, strings.ReplaceAll(src, "hunter2", "hunter3"), ParseOptions{})
	changes := Diff(d, other)
	text := string(d.ForOthers())
	for _, c := range changes {
		text += c.String() + "\n"
	}
	if strings.Contains(text, "hunter") || !strings.Contains(text, "[curl, <secret>]") || len(changes) != 6 {
		t.Errorf("%d changes\n%s", len(changes), text)
	}
	own := string(d.Effective())
	if !strings.Contains(own, "led, hunter2") || strings.Contains(own, "?hunter2") || strings.Contains(own, "BEGIN") {
		t.Errorf("to its owner a command is shown, and nothing else\n%s", own)
	}
}
