package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzParse: whatever the file holds, it is refused with faults or gives a document that reads back as itself.
func FuzzParse(f *testing.F) {
	f.Add(Template(), "LINKBEAT_UPLINK_WINDOW=3")
	files, err := filepath.Glob("testdata/*/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src, "LINKBEAT_UPLINK_SERVERS=mqtt://h")
	}
	f.Fuzz(func(t *testing.T, src []byte, env string) {
		o := goldenEnv()
		o.Environ = []string{env}
		doc, _, err := Parse(src, o)
		if err != nil {
			var faults Faults
			if doc != nil || !errors.As(err, &faults) || len(faults) == 0 {
				t.Fatalf("document %v, error %v", doc, err)
			}
			_, _ = Boot(BootOptions{ReadFile: func(string) ([]byte, error) { return src, nil }, Parse: o})
			return
		}
		dump := doc.Effective()
		if strings.Contains(string(dump), "${") {
			return // would be filled in again
		}
		again, _, err := Parse(dump, ParseOptions{})
		if err != nil {
			t.Fatalf("%v\n%s", err, dump)
		}
		for _, c := range Diff(doc, again) {
			if !strings.HasSuffix(c.Path, "password") {
				t.Errorf("%s in\n%s", c, dump)
			}
		}
	})
}
