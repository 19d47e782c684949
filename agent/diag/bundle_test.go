package diag

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/linkbeat/linkbeat/agent/gate"
	"github.com/linkbeat/linkbeat/agent/printable/printabletest"
)

// unpacked are the files of a bundle, by name.
func unpacked(t *testing.T, b Bundle) map[string]string {
	t.Helper()
	var packed bytes.Buffer
	if err := b.Write(t.Context(), &packed); err != nil {
		t.Fatal(err)
	}
	zipped, err := gzip.NewReader(&packed)
	if err != nil {
		t.Fatal(err)
	}
	files, r := map[string]string{}, tar.NewReader(zipped)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		p, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if h.Mode != 0o600 || !strings.HasPrefix(h.Name, "linkbeat-gw-7-") {
			t.Errorf("%s with mode %o", h.Name, h.Mode)
		}
		files[path.Base(h.Name)] = string(p)
	}
}

// TestNoSecretIsInTheBundle puts secrets wherever one may be, and looks for them in every form in every file.
func TestNoSecretIsInTheBundle(t *testing.T) {
	dir := t.TempDir()
	secrets := map[string]string{
		"of the uplink": `hun"ter2<x>`, "of a server": "s3rver pass", "of a file": "fr0m-file", "of the proxy": "pr%oxy",
		"of a query": "t0ken-abc", "of the environment": "env-pr0xy", "of an override": "overr1de",
	}
	write := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	environ := []string{"PW=" + secrets["of the uplink"], "http_proxy=http://me:" + secrets["of the environment"] + "@proxy:3128",
		"LINKBEAT_SOME_PASSWORD=" + secrets["of an override"], "HOME=/root"}
	d := document(t, fmt.Sprintf(`
state_dir: %s
uplink:
  username: gw
  password: ${PW}
  proxy: "http://gw:pr%%25oxy@proxy.example.net:3128"
  servers:
    - {url: "mqtts://a.example.net"}
    - {url: "mqtts://b.example.net", username: b, password: "s3rver pass"}
    - {url: "mqtts://c.example.net", username: c, password_file: %s}
    - {url: "wss://d.example.net/mqtt?auth=t0ken-abc"}
`, dir, write("password", "fr0m-file\n")), environ[:1]...)
	var everything strings.Builder // as it may turn up in a log, a status or a file of the state directory
	for _, s := range secrets {
		fmt.Fprintf(&everything, "said %s and %s and %s and %q and %s\n", s, url.QueryEscape(s), url.PathEscape(s), s,
			base64.StdEncoding.EncodeToString([]byte(s)))
	}
	fmt.Fprintf(&everything, "Proxy-Authorization: Basic %s\n", base64.StdEncoding.EncodeToString([]byte("gw:pr%oxy")))
	write("paths.json", `{"paths":{"wwan0 wss://d.example.net/mqtt?auth=t0ken-abc":{}}}`+everything.String())
	write("ledger.json", everything.String())
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w,
			`{"id":"gw-7","uplink":{"state":"up","server":"wss://d.example.net/mqtt?auth=t0ken-abc"},"why":"s3rver pass"}`)
	}))
	defer page.Close()
	report := Report{ID: "gw-7", Version: "1.2", Machine: []Step{{Name: "config", Text: everything.String()}},
		Servers: []Server{{URL: d.Uplink.Servers[3].URL.Name()}}}
	files := unpacked(t, Bundle{Document: d, Report: report, Environ: environ,
		Agent: gate.Where{Listen: strings.TrimPrefix(page.URL, "http://")},
		Log:   func(context.Context) ([]byte, error) { return []byte(everything.String()), nil }})
	for _, name := range []string{"version.txt", "diag.txt", "diag.json", "config.yaml", "status.json", "paths.json",
		"ledger.json", "log.txt"} {
		if files[name] == "" {
			t.Errorf("%s is missing", name)
		}
	}
	for name, text := range files {
		for what, s := range secrets {
			for _, form := range []string{s, url.QueryEscape(s), url.PathEscape(s), strings.Trim(fmt.Sprintf("%q", s), `"`),
				base64.StdEncoding.EncodeToString([]byte(s))} {
				if strings.Contains(text, form) {
					t.Errorf("%s holds the secret %s as %q", name, what, form)
				}
			}
		}
		if strings.Contains(text, base64.StdEncoding.EncodeToString([]byte("gw:pr%oxy"))) {
			t.Errorf("%s holds the proxy's login", name)
		}
	}
	for _, want := range []string{"proxy: http://<secret>@proxy.example.net:3128", "password: <secret>",
		"wss://d.example.net/mqtt?<secret>", "username: gw"} {
		if !strings.Contains(files["config.yaml"], want) {
			t.Errorf("config.yaml lacks %q:\n%s", want, files["config.yaml"])
		}
	}
	if !strings.Contains(files["status.json"], `"state": "up"`) || !strings.Contains(files["version.txt"], "linkbeat 1.2") {
		t.Errorf("%s\n%s", files["status.json"], files["version.txt"])
	}
}

func TestBundleNotesWhatIsNotThere(t *testing.T) {
	d := document(t, fmt.Sprintf(
		`{state_dir: %s, http: {listen: ""}, uplink: {servers: [{url: "mqtt://a", insecure_login: true}],
 username: gw, password: abc}}`, t.TempDir()))
	files := unpacked(t, Bundle{Document: d, Report: Report{ID: "gw-7"},
		Agent: gate.Where{Sockets: []string{"/nowhere/linkbeat.sock"}}, Log: func(context.Context) ([]byte, error) {
			return []byte("a line"), errors.New("took too long")
		}})
	for name, want := range map[string]string{"status.json.txt": "/nowhere/linkbeat.sock is not there",
		"paths.json.txt":  "not there",
		"ledger.json.txt": "not there", "log.txt": "a line\nthe log is not whole: took too long"} {
		if !strings.Contains(files[name], want) {
			t.Errorf("%s: %q, want %q", name, files[name], want)
		}
	}
	if strings.Contains(files["config.yaml"], "abc") {
		t.Error("a short secret shows in the configuration")
	}
}

func TestTailKeepsWholeLines(t *testing.T) {
	var short, long tail
	fmt.Fprint(&short, "one\ntwo\n")
	if got := string(short.bytes()); got != "one\ntwo\n" {
		t.Errorf("%q", got)
	}
	line := strings.Repeat("x", 999) + "\n"
	for range 5 * stateMax / len(line) {
		fmt.Fprint(&long, line)
	}
	fmt.Fprint(&long, "last\n")
	got := long.bytes()
	if len(got) > stateMax || len(got) < stateMax-len(line) || !bytes.HasPrefix(got, []byte(line)) ||
		!bytes.HasSuffix(got, []byte("x\nlast\n")) || cap(long.p) > 6*stateMax {
		t.Errorf("%d bytes, %q…", len(got), got[:10])
	}
}

// TestNoControlOfAStrangerIsInTheBundle puts them into each file that a stranger can write into.
func TestNoControlOfAStrangerIsInTheBundle(t *testing.T) {
	dir, raw := t.TempDir(), printabletest.Join(printabletest.Controls())
	inJSON, err := json.Marshal(printabletest.Join(printabletest.Text()))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"paths.json", "ledger.json"} {
		if err := os.WriteFile(filepath.Join(dir, name), append([]byte(`{"why":`), append(inJSON, '}')...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	agent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"why":` + string(inJSON) + `}`))
	}))
	defer agent.Close()
	d := document(t, fmt.Sprintf("state_dir: %s\nuplink: {servers: [{url: mqtts://a}]}\n", dir))
	d.Device.Groups = []string{raw}
	report := Report{ID: "gw-7", Servers: []Server{{URL: raw, Steps: []Step{{Name: "tls", Status: Fail, Text: raw, Hint: raw}}}}}
	where := gate.Where{Listen: agent.Listener.Addr().String()}
	files := unpacked(t, Bundle{Document: d, Report: report, Agent: where, Log: func(context.Context) ([]byte, error) {
		return []byte(strings.NewReplacer("\n", "", "\t", "").Replace(raw)), errors.New(strings.ReplaceAll(raw, "\n", ""))
	}})
	for name, text := range files {
		passed := printabletest.Passed([]byte(text))
		if tab := "C0 U+0009"; name == "log.txt" && len(passed) == 1 && passed[0] == tab {
			passed = nil // a log may have tabs
		}
		if len(passed) > 0 || path.Ext(name) == ".json" && !json.Valid([]byte(text)) {
			t.Errorf("%s: %v pass: %q", name, passed, text)
		}
	}
	if !strings.Contains(files["status.json"], `<0:`) || !strings.Contains(files["diag.txt"], `<0:\x01:0>`) {
		t.Errorf("it did not come that far: %q", files)
	}
}
