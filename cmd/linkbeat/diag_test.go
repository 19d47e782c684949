package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/linkbeat/linkbeat/agent/diag"
	"github.com/linkbeat/linkbeat/config"
)

// Who asks for a bundle may be root, and the place one where everybody may put links.
func TestABundleReplacesOnlyWhatIsOurs(t *testing.T) {
	const precious = "root:x:0:0:"
	for what, put := range map[string]func(path, target string) error{
		"a symbolic link":          func(path, target string) error { return os.Symlink(target, path) },
		"a link beside the target": func(path, target string) error { return os.Symlink(filepath.Base(target), path) },
		"a FIFO":                   func(path, _ string) error { return syscall.Mkfifo(path, 0o600) },
		"a directory":              func(path, _ string) error { return os.Mkdir(path, 0o700) },
	} {
		for _, name := range []string{"gw.tar.gz", "gw.tar.gz.tmp"} { // its temporary name can be guessed
			dir := t.TempDir()
			path, target := filepath.Join(dir, "gw.tar.gz"), filepath.Join(dir, "passwd")
			if err := errors.Join(os.WriteFile(target, []byte(precious), 0o644), put(filepath.Join(dir, name),
				target)); err != nil {
				t.Fatal(err)
			}
			err := writeBundle(t.Context(), path, diag.Bundle{Document: config.Defaults()})
			if err == nil || !strings.Contains(err.Error(), "is in the way") || !strings.Contains(err.Error(), name) {
				t.Errorf("%s at %s: %v", what, name, err)
			}
			if p, err := os.ReadFile(target); err != nil || string(p) != precious {
				t.Errorf("%s at %s: the target is %q, %v", what, name, p, err)
			}
			if info, err := os.Lstat(filepath.Join(dir, name)); err != nil || info.Mode().IsRegular() {
				t.Errorf("%s at %s: replaced by %v, %v", what, name, info, err)
			}
		}
	}
}

func TestABundleIsForUsAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gw.tar.gz")
	if err := os.WriteFile(path, []byte("the one of yesterday"), 0o644); err != nil {
		t.Fatal(err)
	}
	b := diag.Bundle{Document: config.Defaults()}
	if err := writeBundle(t.Context(), path, b); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(path); err != nil || info.Mode() != 0o600 || info.Size() < 100 {
		t.Errorf("%v, %v", info, err)
	}
	if names, err := os.ReadDir(filepath.Dir(path)); err != nil || len(names) != 1 {
		t.Errorf("%v, %v", names, err)
	}
}
