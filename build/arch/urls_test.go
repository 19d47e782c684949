package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

func TestOneRoomShowsAURL(t *testing.T) {
	root, err := kit.Root()
	if err != nil {
		t.Fatal(err)
	}
	found, err := URLsShown(root, RevealedBy())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Error(f)
	}
}

func TestURLsShown(t *testing.T) {
	dir := t.TempDir()
	const room = "package brokerurl\n\n// URL is one.\ntype URL string\n\n// Reveal shows it.\n" +
		"func (u URL) Reveal() string { return string(u) }\n\n// Name does not.\nfunc (u URL) Name() string { return \"\" }\n"
	const head = "package p\n\nimport (\n\t\"fmt\"\n\t\"net/url\"\n\n\t\"" + module + "transport/brokerurl\"\n)\n\n" +
		"var _ = fmt.Sprint\n\nvar _ *url.URL\n\ntype server struct{ URL brokerurl.URL }\n\n"
	for name, text := range map[string]string{
		"go.mod":                        "module " + module[:len(module)-1] + "\n\ngo 1.26\n",
		"transport/brokerurl/url.go":    room,
		"fine/fine.go":                  head + "func f(s server) string { return fmt.Sprint(s, s.URL, s.URL.Name()) }\n",
		"converts/c.go":                 head + "func f(s server) string { return string(s.URL) }\n",
		"bytes/c.go":                    head + "func f(s server) []byte { return []byte(s.URL) }\n",
		"pointer/c.go":                  head + "func f(s *server) *string { return (*string)(&s.URL) }\n",
		"reveals/c.go":                  head + "func f(s server) string { return s.URL.Reveal() }\n",
		"method/c.go":                   head + "func f(s server) func() string { return s.URL.Reveal }\n",
		"plain/c.go":                    head + "func f(u *url.URL) string { return u.String() }\n",
		"redacts/c.go":                  head + "func f(u url.URL) string { return u.Redacted() }\n",
		"prints/c.go":                   head + "func f(u *url.URL) error { return fmt.Errorf(\"at %s\", u) }\n",
		"allowed/c.go":                  head + "func f(s server) string { return s.URL.Reveal() }\n",
		"build/tools/x/c.go":            head + "func f(s server) string { return string(s.URL) }\n",
		"reveals/reveals_test.go":       "package p\n",
		"transport/brokerurl/x_test.go": "package brokerurl\n",
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found, err := URLsShown(dir, []Revealed{{"transport/brokerurl", "the room"}, {"allowed/c.go", "judges"}, {"gone.go", "?"}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"bytes/c.go:", "converts/c.go:", "gone.go reveals no URL", "method/c.go:", "plain/c.go:", "pointer/c.go:",
		"prints/c.go:", "redacts/c.go:", "reveals/c.go:"}
	if !slices.EqualFunc(found, want, strings.HasPrefix) {
		t.Errorf("found %q, want %q", found, want)
	}
}
