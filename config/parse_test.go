package config

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the .want files of testdata again")

// goldenEnv is the environment of the files in testdata.
func goldenEnv() ParseOptions {
	vars := map[string]string{"SITE": "north-7", "UPLINK_PASSWORD": "correct horse", "BAUD": "19200", "EMPTY": ""}
	return ParseOptions{Env: func(name string) (string, bool) {
		v, ok := vars[name]
		return v, ok
	}}
}

func listing(warnings []Fault, err error) string {
	var b strings.Builder
	var faults Faults
	errors.As(err, &faults)
	for _, f := range faults {
		b.WriteString("fault: " + describe(f) + "\n")
	}
	for _, w := range warnings {
		b.WriteString("warning: " + describe(w) + "\n")
	}
	return b.String()
}

func describe(f Fault) string {
	if f.Device != "" {
		return "[" + f.Device + "] " + f.String()
	}
	return f.String()
}

func TestGoldenFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/*/*.yaml")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(file, ".yaml"), func(t *testing.T) {
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			doc, warnings, err := Parse(src, goldenEnv())
			if good := strings.Contains(file, "good"); good != (err == nil) || good != (doc != nil) {
				t.Errorf("document %v, error %v", doc != nil, err)
			}
			got := listing(warnings, err)
			want := strings.TrimSuffix(file, ".yaml") + ".want"
			if *update {
				if err := os.WriteFile(want, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			wanted, err := os.ReadFile(want)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(wanted) {
				t.Errorf("got\n%swant\n%s", got, wanted)
			}
		})
	}
}

// server is the least that a document needs.
const server = "uplink: {servers: [{url: mqtts://a.example.net}]}\n"

func mustParse(t *testing.T, src string, o ParseOptions) *Document {
	t.Helper()
	doc, _, err := Parse([]byte(src), o)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestTemplateIsTheDefaults(t *testing.T) {
	doc, warnings, err := Parse(Template(), ParseOptions{})
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%v, warnings %v", err, warnings)
	}
	if len(doc.Uplink.Servers) != 1 {
		t.Errorf("servers %v: an example is wanted", doc.Uplink.Servers)
	}
	doc.Uplink.Servers = nil
	if want := Defaults(); !reflect.DeepEqual(doc, want) {
		t.Errorf("the template differs from the defaults: %v", Diff(want, doc))
	}
}

func TestTemplateNamesEveryKey(t *testing.T) {
	root, fault := readTree(uncommented(t))
	if fault != nil {
		t.Fatal(fault)
	}
	d := &decoder{positions: map[string]*pos{}}
	d.value(at{}, root, reflect.ValueOf(Defaults()).Elem())
	selectors := map[string]bool{"usb": true, "path": true, "rs485": true}
	var walk func(path string, typ reflect.Type)
	walk = func(path string, typ reflect.Type) {
		for _, key := range keysOf(typ) {
			field, _ := fieldNamed(typ, key)
			if path == "serial.meter" && selectors[key] {
				continue // no defaults: shown in comments, or nothing to say about them yet
			}
			p := join(path, key)
			if d.positions[p] == nil {
				t.Errorf("%s is not in the template", p)
			}
			switch field.Type {
			case reflect.TypeFor[Batch](), reflect.TypeFor[Frame](), reflect.TypeFor[Fact](): // shown in comments
			case reflect.TypeFor[map[string]*SerialDevice]():
				walk("serial.meter", reflect.TypeFor[SerialDevice]())
			default:
				if field.Type.Kind() == reflect.Struct && len(keysOf(field.Type)) > 0 {
					walk(p, field.Type)
				}
			}
		}
	}
	walk("", reflect.TypeFor[Document]())
}

// uncommented is the template with its commented serial device in place of "serial: {}".
func uncommented(t *testing.T) []byte {
	t.Helper()
	text := string(Template())
	before, rest, ok := strings.Cut(text, "serial: {}")
	if !ok {
		t.Fatal("no serial: {} in the template")
	}
	_, rest, _ = strings.Cut(rest, "\n")
	var b bytes.Buffer
	b.WriteString(before)
	for line := range strings.Lines(rest) {
		if after, ok := strings.CutPrefix(line, "# "); ok {
			line = after
		}
		b.WriteString(line)
	}
	return b.Bytes()
}

func TestTemplateSerialExampleIsTheDefaults(t *testing.T) {
	doc, warnings, err := Parse(uncommented(t), ParseOptions{})
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%v, warnings %v", err, warnings)
	}
	want := DefaultSerial()
	want.Port = "/dev/ttyUSB0"
	if got := doc.Serial["meter"]; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestEmptyFileLacksOnlyServers(t *testing.T) {
	for _, src := range []string{"", "# nothing\n", "---\n", "null\n", "{}\n"} {
		_, _, err := Parse([]byte(src), ParseOptions{})
		var faults Faults
		if !errors.As(err, &faults) || len(faults) != 1 || faults[0].Path != "uplink.servers" {
			t.Errorf("%q: %v", src, err)
		}
	}
	o := ParseOptions{Environ: []string{"LINKBEAT_UPLINK_SERVERS=mqtt://a.example.net"}}
	doc := mustParse(t, "", o)
	doc.Uplink.Servers = nil
	if want := Defaults(); !reflect.DeepEqual(doc, want) {
		t.Errorf("differs from the defaults: %v", Diff(want, doc))
	}
}

func TestNeverReadsTooMuch(t *testing.T) {
	bomb := "device: {groups: &a [x, x, x, x, x, x, x, x, x, x]}\nuplink: {servers: [" +
		strings.Repeat("{tls: {alpn: *a}}, ", 5000) + "]}\n"
	for name, src := range map[string]string{
		"a file of 2 MiB":     strings.Repeat("# comment line\n", 2<<20/15),
		"aliases":             bomb,
		"an alias of itself":  "device: &d {facts: {a: *d}}\n",
		"a list in a list":    "device: {groups: &g [*g]}\n",
		"deep":                "hooks: {up: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "}\n",
		"thousands of faults": strings.Repeat("x: 1\n", 5000),
	} {
		_, _, err := Parse([]byte(src), ParseOptions{})
		var faults Faults
		if !errors.As(err, &faults) {
			t.Errorf("%s: %v", name, err)
		}
		if len(faults) > maxFaults+1 {
			t.Errorf("%s: %d faults", name, len(faults))
		}
	}
}

func TestFilesAreCheckedOnRequest(t *testing.T) {
	src := `uplink:
  servers: [{url: mqtts://a.example.net}]
  username: u
  password_file: /none/password
  tls: {ca_file: /none/ca, cert_file: /none/cert, key_file: /none/key}
`
	mustParse(t, src, ParseOptions{})
	_, _, err := Parse([]byte(src), ParseOptions{CheckFile: CheckReadable})
	var faults Faults
	if !errors.As(err, &faults) || len(faults) != 4 {
		t.Fatalf("%v", err)
	}
	if got, want := faults[0].String(), "line 4: uplink.password_file: cannot be read: no such file or directory"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
