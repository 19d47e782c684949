package statedir

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/linkbeat/linkbeat/agent/ownfile"
)

type fruit struct {
	Layout int            `json:"layout"`
	Counts map[string]int `json:"counts"`
}

// sealedFruit is what this version writes.
const sealedFruit = "{\n \"layout\": 3,\n \"counts\": {\n  \"pear\": 7\n },\n \"sum\": \"e7a7f367\"\n}\n"

func openFruit(t *testing.T) (f JSON[fruit], path string) {
	t.Helper()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return JSON[fruit]{Root: root, Name: "fruit.json", Layout: 3, Max: 100}, filepath.Join(dir, "fruit.json")
}

func TestJSONComesBack(t *testing.T) {
	f, path := openFruit(t)
	if doc, err := f.Load(); err != nil || doc.Layout != 0 {
		t.Errorf("of no file: %+v, %v", doc, err)
	}
	doc := fruit{Layout: 3, Counts: map[string]int{"pear": 7}}
	if err := f.Save(&sync.Mutex{}, &doc); err != nil {
		t.Fatal(err)
	}
	if p, err := os.ReadFile(path); err != nil || string(p) != sealedFruit {
		t.Errorf("%q, %v", p, err)
	}
	if back, err := f.Load(); err != nil || back.Counts["pear"] != 7 {
		t.Errorf("%+v, %v", back, err)
	}
}

func TestJSONThatIsNotOursIsSetAside(t *testing.T) {
	for name, c := range map[string]struct{ content, want string }{
		"torn":           {`{"layout":3,"cou`, "unexpected end of JSON input"},
		"empty":          {"", "unexpected end of JSON input"},
		"zeros":          {"\x00\x00\x00", "invalid character"},
		"another layout": {`{"layout":4,"counts":[1]}`, "layout 4, not 3"},
		"no layout":      {`{"counts":{"pear":7}}`, "layout 0, not 3"},
		"a number":       {strings.Replace(sealedFruit, "7", "8", 1), "its checksum is wrong"},
		"a sum":          {strings.Replace(sealedFruit, "sum\": \"", "sum\": \"0", 1), "its checksum is wrong"},
		"half of it":     {sealedFruit[:len(sealedFruit)/2], "unexpected end of JSON input"},
		"another type":   {`{"layout":3,"counts":{"pear":"seven"}}`, "counts"},
		"too long":       {`{"layout":3}` + strings.Repeat(" ", 100), "112 bytes, at most 100 are read"},
	} {
		t.Run(name, func(t *testing.T) {
			f, path := openFruit(t)
			if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
			doc, err := f.Load()
			if err == nil || !strings.Contains(err.Error(), c.want) || doc.Layout != 0 || doc.Counts != nil {
				t.Errorf("%+v, %v", doc, err)
			}
			if kept, err := os.ReadFile(path + ".corrupt"); err != nil || string(kept) != c.content {
				t.Errorf("set aside: %q, %v", kept, err)
			}
			if doc, err := f.Load(); err != nil || doc.Layout != 0 {
				t.Errorf("a second time: %+v, %v", doc, err)
			}
		})
	}
}

func TestJSONWithoutADirectory(t *testing.T) {
	f := JSON[fruit]{Name: "fruit.json"}
	if _, err := f.Load(); err != nil {
		t.Error(err)
	}
	if err := f.Save(&sync.Mutex{}, &fruit{}); err != nil {
		t.Error(err)
	}
}

func TestJSONThatCannotBeWritten(t *testing.T) {
	f, path := openFruit(t)
	if err := os.MkdirAll(filepath.Join(path+".tmp", "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := f.Save(&sync.Mutex{}, &fruit{Layout: 3}); err == nil {
		t.Error("nothing was said")
	}
}

// A FIFO where the file should be must not hang the start, and a link is not followed: what stands there is left alone.
func TestJSONWithSomethingInTheWay(t *testing.T) {
	for what, put := range map[string]func(path string) error{
		"FIFO":          func(path string) error { return unix.Mkfifo(path, 0o600) },
		"symbolic link": func(path string) error { return os.Symlink("target", path) },
		"directory":     func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		t.Run(what, func(t *testing.T) {
			f, path := openFruit(t)
			target := filepath.Join(filepath.Dir(path), "target")
			const precious = `{"layout":3,"counts":{"pear":1}}`
			if err := errors.Join(os.WriteFile(target, []byte(precious), 0o600), put(path)); err != nil {
				t.Fatal(err)
			}
			if doc, err := f.Load(); !errors.Is(err, ownfile.ErrInTheWay) || !strings.Contains(err.Error(), what) ||
				doc.Counts != nil {
				t.Errorf("%+v, %v", doc, err)
			}
			if err := f.Save(&sync.Mutex{}, &fruit{Layout: 3}); !errors.Is(err, ownfile.ErrInTheWay) {
				t.Error(err)
			}
			if info, err := os.Lstat(path); err != nil || info.Mode().IsRegular() {
				t.Errorf("%v, %v", info, err)
			}
			if p, err := os.ReadFile(target); err != nil || string(p) != precious {
				t.Errorf("%q, %v", p, err)
			}
		})
	}
}
