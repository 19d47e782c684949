package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// site is a gateway's disk: a configuration file and a state directory.
type site struct {
	file, state string
	environ     []string
}

func newSite(t *testing.T) *site {
	dir := t.TempDir()
	return &site{file: filepath.Join(dir, "linkbeat.yaml"), state: filepath.Join(dir, "state")}
}

func (s *site) boot(t *testing.T, src string) (Booted, error) {
	t.Helper()
	src = strings.ReplaceAll(src, "@", s.state)
	if err := os.WriteFile(s.file, []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	return Boot(BootOptions{File: s.file, Parse: ParseOptions{Environ: s.environ}})
}

func (s *site) keep(t *testing.T, src string) {
	t.Helper()
	if err := NewStore(s.state).SaveGood([]byte(strings.ReplaceAll(src, "@", s.state))); err != nil {
		t.Fatal(err)
	}
}

const (
	goodSite = `state_dir: @
uplink: {servers: [{url: mqtts://a.example.net}], window: 7}
serial: {meter: {port: /dev/ttyUSB0}}
`
	keptSite = `state_dir: @
uplink: {servers: [{url: mqtts://kept.example.net}]}
serial: {meter: {port: /dev/ttyUSB0}, typo: {prot: /dev/ttyUSB1}}
`
)

func TestBoot(t *testing.T) {
	tests := []struct {
		name, src, kept string
		environ         []string
		origin          Origin
		server          string   // host of the first one; "" = ErrNoUplink
		says            string   // in ConfigError
		disabled        []string // serial devices
		window          int
	}{
		{name: "a good file runs as it is", src: goodSite, kept: keptSite, origin: FromFile, server: "a.example.net", window: 7},
		{name: "two bad devices are disabled", kept: keptSite, origin: FromFile, server: "a.example.net", window: 32,
			src: "state_dir: @\n" + server +
				"serial:\n  a: {port: x}\n  b: {port: /dev/ttyS0, boud: 1}\n  c: {port: /dev/ttyS1}\n",
			disabled: []string{"a", "b"},
			says:     "config_error: serial device a, b disabled: line 4: serial.a.port: must be a full path"},
		{name: "a typo runs the last good document, whose bad device is disabled too", src: goodSite + "logg: {}\n",
			kept: keptSite, origin: FromLastGood, server: "kept.example.net", disabled: []string{"typo"}, window: 32,
			says: "config_error: running the last good configuration: line 4: logg: unknown key; did you mean log?"},
		{name: "a broken file still names the state directory", src: goodSite + "log: {\n", kept: keptSite,
			origin: FromLastGood, server: "kept.example.net", disabled: []string{"typo"}, says: "line 4: not YAML", window: 32},
		{name: "a broken file with the state directory in the environment", src: "{", kept: keptSite,
			environ: []string{"LINKBEAT_STATE_DIR=@"}, origin: FromLastGood, server: "kept.example.net",
			disabled: []string{"typo"}, says: "not YAML", window: 32},
		{name: "a bad variable does not spoil the last good document", src: goodSite, kept: keptSite,
			environ: []string{"LINKBEAT_UPLINK_WINDOW=many"}, origin: FromLastGood, server: "kept.example.net",
			disabled: []string{"typo"}, says: "LINKBEAT_UPLINK_WINDOW: uplink.window: must be a whole number", window: 32},
		{name: "nothing kept: what is sound runs", src: goodSite + "logg: {}\nlog: {level: loud}\n", origin: FromSalvage,
			server: "a.example.net", says: "config_error: running with what is sound in it and defaults for the rest: line 4",
			window: 7},
		{name: "nothing kept: one bad server of two", origin: FromSalvage, server: "b.example.net", window: 32,
			src: "state_dir: @\nuplink: {servers: [{url: a}, {url: mqtts://b.example.net}]}\n", says: "servers[0].url"},
		{name: "nothing kept: values that do not fit together", origin: FromSalvage, server: "a.example.net", window: 32,
			src:  "state_dir: @\nuplink: {servers: [{url: mqtts://a.example.net}], tls: {cert_file: /x}, keepalive: 2000}\n",
			says: "key_file"},
		{name: "nothing kept and not YAML, the environment has a server", src: "{", origin: FromSalvage,
			server: "env.example.net", environ: []string{"LINKBEAT_UPLINK_SERVERS=mqtts://env.example.net",
				"LINKBEAT_STATE_DIR=@"}, says: "not YAML", window: 32},
		{name: "what was kept is broken too: what is sound runs", src: goodSite + "x: 1\n", kept: "{", origin: FromSalvage,
			server: "a.example.net", says: "x: unknown key", window: 7},
		{name: "what was kept has no server: what is sound runs", src: goodSite + "x: 1\n", kept: "state_dir: @\n",
			origin: FromSalvage, server: "a.example.net", says: "x: unknown key", window: 7},
		{name: "no server anywhere", src: "state_dir: @\nuplink: {username: a}\n"},
		{name: "bad servers only", src: "state_dir: @\nuplink: {servers: [{url: http://a}, 5]}\n"},
		{name: "servers of a wrong type", src: "state_dir: @\nuplink: {servers: mqtts://a.example.net}\n"},
		{name: "not YAML and nothing kept", src: "{", environ: []string{"LINKBEAT_STATE_DIR=@"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t)
			for _, e := range tt.environ {
				s.environ = append(s.environ, strings.ReplaceAll(e, "@", s.state))
			}
			if tt.kept != "" {
				s.keep(t, tt.kept)
			}
			b, err := s.boot(t, tt.src)
			if tt.server == "" {
				if !errors.Is(err, ErrNoUplink) || len(b.Faults) == 0 {
					t.Fatalf("%v, faults %v", err, b.Faults)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if b.Origin != tt.origin || b.Document.Uplink.Servers[0].Host() != tt.server ||
				b.Document.Uplink.Window != tt.window {
				t.Errorf("origin %q, server %q, window %d", b.Origin, b.Document.Uplink.Servers[0].Host(),
					b.Document.Uplink.Window)
			}
			if !strings.Contains(b.ConfigError, tt.says) || (tt.says == "") != (b.ConfigError == "") {
				t.Errorf("says %q, want %q", b.ConfigError, tt.says)
			}
			if got := sortedKeys(b.Disabled); !reflect.DeepEqual(got, tt.disabled) {
				t.Errorf("disabled %q, want %q", b.Disabled, tt.disabled)
			}
			if b.Store.Dir() != s.state {
				t.Errorf("state in %s, want %s", b.Store.Dir(), s.state)
			}
			if (b.Source != nil) != (tt.origin == FromFile) {
				t.Errorf("source of %d bytes to save", len(b.Source))
			}
		})
	}
}

func TestBootWithoutAFile(t *testing.T) {
	s := newSite(t)
	s.keep(t, keptSite)
	o := BootOptions{File: s.file, Parse: ParseOptions{Environ: []string{"LINKBEAT_STATE_DIR=" + s.state}}}
	b, err := Boot(o)
	if err != nil || b.Origin != FromLastGood || !strings.Contains(b.ConfigError, "cannot read the configuration") {
		t.Fatalf("%q, %q, %v", b.Origin, b.ConfigError, err)
	}
	o.Parse.Environ = []string{"LINKBEAT_STATE_DIR=" + s.state + "/none"}
	if _, err := Boot(o); !errors.Is(err, ErrNoUplink) {
		t.Errorf("%v", err)
	}
}

func TestStateDirOfABrokenFile(t *testing.T) {
	for src, want := range map[string]string{
		"state_dir: /data/lb\n{":             "/data/lb",
		"state_dir: \"/data/lb\" # flash\n{": "/data/lb",
		"a: {\nstate_dir:   '/data/lb'  \n":  "/data/lb",
		"state_dir: /data/lb\r\n{\r\n":       "/data/lb",
		"  state_dir: /data/lb\n{":           DefaultStateDir, // not at the top
		"state_dir: data\n{":                 DefaultStateDir,
		"state_dir: ${DATA}/lb\n{":           DefaultStateDir,
		"{":                                  DefaultStateDir,
	} {
		if got := stateDir([]byte(src), nil, ParseOptions{}); got != want {
			t.Errorf("%q: %s, want %s", src, got, want)
		}
	}
}

func TestLastGoodSurvivesARoundTrip(t *testing.T) {
	s := newSite(t)
	b, err := s.boot(t, goodSite)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Store.SaveGood(b.Source); err != nil {
		t.Fatal(err)
	}
	again, err := s.boot(t, "}")
	if err == nil {
		t.Fatalf("found %s in %s without being told where", again.Origin, again.Store.Dir())
	}
	again, err = s.boot(t, "state_dir: @\n}")
	if err != nil || again.Origin != FromLastGood || !reflect.DeepEqual(again.Document, b.Document) {
		t.Errorf("%v %v", again.Origin, err)
	}
}

// TestNamesThatSteerATerminalStopNoStart: check and a reload refuse what ran before, a start runs it and says so.
func TestNamesThatSteerATerminalStopNoStart(t *testing.T) {
	const (
		a   = "state_dir: @\nuplink: {servers: [{url: mqtts://a.example.net}]}\n"
		bus = a + "serial: {bus: {port: /dev/ttyUSB0, units: "
	)
	for name, src := range map[string]string{
		"an id":            a + "device: {id: \"gw\\e]0;x\\a\"}\n",
		"a group":          a + "device: {groups: [\"n\\u202e\"]}\n",
		"a device":         a + "serial: {\"m\\x7f\": {port: /dev/ttyUSB0}}\n",
		"a unit":           bus + "{\"b\\u009b\": {address: 1, registers: {a: {address: 0}}}}}}\n",
		"a unit of values": bus + "{b: {address: 1, registers: {a: {address: 0, unit: \"V\\e\"}}}}}}\n",
		"a topic":          a + "topics: {log: \"lb/{id}/up/\\u2066log\"}\n",
	} {
		t.Run(name, func(t *testing.T) {
			b, err := newSite(t).boot(t, src)
			if err != nil || b.Origin != FromFile || len(b.Disabled) > 0 || len(b.Faults) > 0 {
				t.Fatalf("%v, from %s, without %v, faults %v", err, b.Origin, b.Disabled, b.Faults)
			}
			const says = "which is not shown as itself and may steer a terminal: leave it out"
			if !strings.Contains(b.Concerns(), says) || !strings.Contains(b.Refused(), says) {
				t.Errorf("it says %q, and a reload %q", b.Concerns(), b.Refused())
			}
			if _, _, err := Parse([]byte(strings.ReplaceAll(src, "@", "/x")), ParseOptions{}); err == nil ||
				!strings.Contains(err.Error(), says) {
				t.Errorf("check says %v", err)
			}
		})
	}
	b, err := newSite(t).boot(t, goodSite+"device: {id: gw-köln-21°C}\nhooks: {up: [sh, -c, \"one\\ntwo\"]}\n")
	if err != nil || b.Concerns() != "" || b.Refused() != "" {
		t.Errorf("%v, %q, %q", err, b.ConfigError, b.Refused())
	}
}

// What is a fault to check and to a reload since logins are kept out of the clear runs at the start: from the file, and from what
// was kept of it.
func TestALoginInClearRunsAtTheStart(t *testing.T) {
	for name, tt := range map[string]struct{ servers, says string }{
		"alone":           {"[{url: mqtt://a.example.net}]", "in clear"},
		"beside mqtts":    {"[{url: mqtt://a.example.net}, {url: mqtts://b.example.net}]", "gets no login"},
		"with permission": {"[{url: mqtt://a.example.net, insecure_login: true}]", ""},
	} {
		t.Run(name, func(t *testing.T) {
			src := "state_dir: @\nuplink: {username: gw, servers: " + tt.servers + "}\n"
			s := newSite(t)
			fromFile, err := s.boot(t, src)
			if err != nil || fromFile.Origin != FromFile || fromFile.Source == nil || fromFile.ConfigError != "" {
				t.Fatalf("%+v, %v", fromFile, err)
			}
			s.keep(t, src)
			kept, err := s.boot(t, "state_dir: @\nuplink: {servers: 7}\n")
			if err != nil || kept.Origin != FromLastGood {
				t.Fatalf("%+v, %v", kept, err)
			}
			for _, b := range []Booted{fromFile, kept} {
				if got := b.Concerns(); !strings.Contains(got, tt.says) || (got == "") != (tt.says == "") {
					t.Errorf("%s: says %q, want %q", b.Origin, got, tt.says)
				}
				if first := b.Document.Uplink.Servers[0]; b.Document.Uplink.Withheld(first) != (name == "beside mqtts") {
					t.Errorf("%s: withheld: %v", b.Origin, b.Document.Uplink.Withheld(first))
				}
			}
			src = strings.ReplaceAll(src, "@", s.state)
			if _, _, err := Parse([]byte(src), ParseOptions{}); (err == nil) != (tt.says == "") {
				t.Errorf("to check: %v", err)
			}
		})
	}
}

func TestAFileThatOthersCanReadIsSaid(t *testing.T) {
	modes := map[string]fs.FileMode{"/etc/l/p": 0o644, "/etc/l/key": 0o604, "/etc/l/group": 0o640, "/etc/l/doc.yaml": 0o664}
	o := ParseOptions{File: "/etc/l/doc.yaml", Mode: func(name string) (fs.FileMode, bool) { m, ok := modes[name]; return m, ok },
		Env: func(string) (string, bool) { return "secret", true }}
	const all = "every user of this machine can read it: chmod "
	const own = "stands in a file, and " + all + "0660 /etc/l/doc.yaml"
	for _, tt := range []struct{ uplink, want string }{
		{"username: gw, password_file: /etc/l/p", "uplink.password_file: " + all + "0640 /etc/l/p"},
		{"tls: {cert_file: /etc/l/p, key_file: /etc/l/key}", "uplink.tls.key_file: " + all + "0600 /etc/l/key"},
		{"username: gw, password: x", "uplink.password: " + own},
		{"proxy: http://gw:x@p", "uplink.proxy: its login goes to the proxy in clear, as http has it: " +
			"whoever is between here and there reads it\nline 1: uplink.proxy: " + own},
		{"proxy: http://gw:x@localhost:3128", "uplink.proxy: " + own},
		{"proxy: socks5://p", ""},
		{"username: gw, password: \"${PW}\"", ""},
		{"username: gw, password_file: /etc/l/group", ""},
		{"username: gw, password_file: /etc/l/not-there-yet", ""},
	} {
		_, warnings, err := Parse([]byte("uplink: {servers: [{url: mqtts://a}], "+tt.uplink+"}\ndevice: {id: gw}\n"), o)
		if err != nil {
			t.Fatal(err)
		}
		if got := Faults(warnings).Error(); strings.TrimPrefix(got, "line 1: ") != tt.want {
			t.Errorf("%s: %q, want %q", tt.uplink, got, tt.want)
		}
		if (Booted{Warnings: warnings}).Concerns() == "" != (tt.want == "") {
			t.Errorf("%s: the status says %q", tt.uplink, Booted{Warnings: warnings}.Concerns())
		}
	}
}
