package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/linkbeat/linkbeat/agent/printable"
	"github.com/linkbeat/linkbeat/agent/printable/printabletest"
	"github.com/linkbeat/linkbeat/cmd/internal/cli"
)

// startStranger answers /status and /tap/… in the place of the agent.
func startStranger(t *testing.T, code int) (addr string) {
	t.Helper()
	h, _ := json.Marshal(printabletest.Join(printabletest.Text()))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if w.WriteHeader(code); r.URL.Path == "/status" {
			text := string(h)
			_, _ = w.Write([]byte(`{"id":` + text + `,"version":` + text + `,"uplink":{"state":` + text + `,"server":` + text +
				`},"why":` + text +
				`,"serial":{` + text + `:{"port":` + text + `,"state":` + text + `,"why":` + text + `,"units":{` + text +
				`:{"why":` + text + `}}}},` +
				`"facts":{` + text + `:` + text + `},"month":{"since":` + text + `,"interfaces":{` + text + `:{}}},` +
				`"heartbeat":{"phase":` + text + `,"reason":` + text + `,"path":` + text + `,"path_kind":` + text +
				`,"evidence":` + text + `}}`))
			return
		}
		_, _ = w.Write([]byte(strings.NewReplacer("\n", "", "\t", "").Replace(printabletest.Join(printabletest.Controls()))))
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// startServer answers anything with a status line of its own, which is no MQTT either.
func startServer(t *testing.T) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	status := strings.ReplaceAll(printabletest.Join(printabletest.Controls()), "\n", "")
	go func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			_, _ = bufio.NewReader(c).ReadByte()
			_, _ = c.Write([]byte("HTTP/1.1 403 " + status + "\r\nContent-Length: 0\r\n\r\n"))
			_ = c.Close()
		}
	}()
	return l.Addr().String()
}

// sysfs is one FTDI adapter whose descriptors say hostile, the serial number too.
func sysfs(t *testing.T, hostile string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	device := filepath.Join(dir, "devices/pci0000:00/0000:00:14.0/usb1/1-1")
	tty := filepath.Join(device, "1-1:1.0/ttyUSB0/tty/ttyUSB0")
	for _, d := range []string{tty, filepath.Join(dir, "class/tty")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"1-1:1.0/bInterfaceNumber": "00", "idVendor": "0403", "idProduct": "6001",
		"serial":       hostile,
		"manufacturer": hostile, "product": hostile} {
		if err := os.WriteFile(filepath.Join(device, name), []byte(text+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	_ = os.Symlink("../../devices/pci0000:00/0000:00:14.0/usb1/1-1/1-1:1.0/ttyUSB0/tty/ttyUSB0", filepath.Join(dir,
		"class/tty/ttyUSB0"))
	_ = os.Symlink("../../../ttyUSB0", filepath.Join(tty, "device"))
	return dir
}

// TestNoControlOfAStrangerReachesTheTerminal: every command that shows what others wrote, every control character.
func TestNoControlOfAStrangerReachesTheTerminal(t *testing.T) {
	text, all := printabletest.Join(printabletest.Text()), printabletest.Join(printabletest.Controls())
	good, bad := startStranger(t, 200), startStranger(t, 500)
	server := startServer(t)
	state := t.TempDir()
	file := func(body string) string {
		name := filepath.Join(t.TempDir(), "linkbeat.yaml")
		if err := os.WriteFile(name, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	inYAML := func(s string) string { return `"` + printable.Line(s) + `"` } // YAML has the same escapes
	document := func(url, more string) string {
		return file("device: {id: gw}\nstate_dir: " + state + "\nuplink: {servers: [{url: \"" + url + "\"}]}\nhttp: {listen: \"" +
			good + "\"}\n" + more)
	}
	key := inYAML("\x01\x1b[2J\u009b\u202e") // a key of YAML has at most 1024 characters
	named := "device: {id: " + inYAML(text) + "}\nuplink: {servers: [{url: mqtt://a}]}\n" + key + ": 1\n" +
		"serial: {" + key + ": {port: " + inYAML(text) + "}}\n"
	for _, tt := range []struct {
		name  string
		args  []string
		shows string
	}{
		{"ports", []string{"ports", "--sys", sysfs(t, strings.ReplaceAll(all, "\n", ""))}, `<0:\x01:0>`},
		{"ports as JSON", []string{"ports", "--json", "--sys", sysfs(t, strings.ReplaceAll(all, "\n", ""))}, `<0:\u0001:0>`},
		{"status", []string{"status", "--listen", good}, `<0:\x01:0>`},
		{"status as JSON", []string{"status", "--json", "--listen", good}, `<0:\\x01:0>`},
		{"a status of somebody else", []string{"status", "--listen", bad}, `is it linkbeat?`},
		{"tap", []string{"tap", "--listen", good, "meter"}, `<0:\x01:0>`},
		{"tap of no device", []string{"tap", "--listen", bad, text}, `<0:\x01:0>`},
		{"check: faults", []string{"check", "-c", file(named)}, `\x01`},
		{"check: not YAML", []string{"check", "-c", file("a: [" + all)}, "is not good"},
		{"check: a name of a file", []string{"check", "-c", "/no/" + text}, `<0:\x01:0>`},
		{"check: a scheme", []string{"check", "-c", document("mq\\eqtt://a", "")}, "unknown scheme"},
		{"run without an uplink", []string{"run", "-c", file("uplink: {servers: []}\nstate_dir: " + state + "\n" + key +
			": 1\n")}, `\x01`},
		{"diag", []string{"diag", "-c", document("ws://"+server, "")}, `FAIL`},
		{"diag as JSON", []string{"diag", "--json", "-c", document("ws://"+server, "")}, `FAIL`},
		{"diag through a proxy", []string{"diag", "-c", file("device: {id: gw}\nstate_dir: " + state +
			"\nuplink: {proxy: \"http://" + server +
			"\", servers: [{url: mqtt://192.0.2.1}]}\n")}, `FAIL`},
		{"check --online", []string{"check", "--online", "-c", document("ws://"+server, "")}, `FAIL`},
		{"a command", []string{text}, `\x01`},
		{"a server that is none", []string{"probe", text + "://a"}, `not a URL`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
			defer stop()
			var out bytes.Buffer
			root := newRoot()
			root.SetOut(&out)
			root.SetErr(&out)
			cli.Run(ctx, root, tt.args, exitCode)
			if passed := printabletest.Passed(out.Bytes()); passed != nil {
				t.Errorf("%v pass:\n%q", passed, out.Bytes())
			}
			if !strings.Contains(out.String(), tt.shows) {
				t.Errorf("%q is not shown:\n%s", tt.shows, &out)
			}
		})
	}
}

// TestNoControlOfAStrangerReachesTheLogOfATerminal: the console writer takes JSON apart again, and what it prints is coloured.
func TestNoControlOfAStrangerReachesTheLogOfATerminal(t *testing.T) {
	for _, c := range printabletest.Controls() {
		s := printabletest.Marked(c)
		var out bytes.Buffer
		log := zerolog.New(printable.NewLogWriter(zerolog.ConsoleWriter{Out: &out, NoColor: true, FormatPrepare: prepare}, 100))
		log.Info().Str("why", s).Err(errors.New(s)).Strs("command", []string{s}).Interface("verdict",
			map[string]string{s: s}).Str(s, s).Msg(s)
		if passed := printabletest.Passed(out.Bytes()); passed != nil || out.Len() == 0 {
			t.Errorf("%s: %v pass: %q", c.Name, passed, out.Bytes())
		}
	}
}
