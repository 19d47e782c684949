package config

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// hugeFile makes a file of 300 MB, which has a hole instead of content.
func hugeFile(t *testing.T, path string) string {
	t.Helper()
	if err := errors.Join(os.WriteFile(path, []byte("uplink: {}\n"), 0o600), os.Truncate(path, 300<<20)); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestNothingHugeIsRead: whatever stands where a file of ours should be is said, and not read.
func TestNothingHugeIsRead(t *testing.T) {
	dir := t.TempDir()
	good := "state_dir: " + dir + "\nuplink: {servers: [{url: \"mqtt://b.example.net\"}]}\n"
	for name, tt := range map[string]struct {
		do   func() string // what is said
		want string
	}{
		"the document": {func() string {
			_, err := Boot(BootOptions{File: hugeFile(t, filepath.Join(dir, "linkbeat.yaml")),
				Parse: ParseOptions{Environ: []string{"LINKBEAT_STATE_DIR=" + dir}}})
			return err.Error()
		}, "linkbeat.yaml has 314572800 bytes, at most 1048576 are read"},
		"the last good one": {func() string {
			hugeFile(t, filepath.Join(dir, goodFile))
			defer os.Remove(filepath.Join(dir, goodFile))
			b, err := Boot(BootOptions{ReadFile: func(string) ([]byte, error) { return []byte(good + "typo: 1\n"), nil }})
			if err != nil {
				return err.Error()
			}
			return b.ConfigError
		}, "config.good.yaml: config.good.yaml has 314572800 bytes"},
		"the identity": {func() string {
			hugeFile(t, filepath.Join(dir, identityFile))
			doc := Defaults()
			id, err := doc.ResolveID(machine("11:22:33:44:55:66"), NewStore(dir))
			return id + " " + err.Error()
		}, "identity has 314572800 bytes"},
		"a password": {func() string {
			_, err := Server{PasswordFile: FileName(hugeFile(t, filepath.Join(dir, "password")))}.ReadPassword()
			return err.Error()
		}, "password has 314572800 bytes, at most 1048576 are read"},
		"a password of a device": {func() string {
			_, err := Server{PasswordFile: "/dev/zero"}.ReadPassword()
			return err.Error()
		}, "at most 1048576 are read"},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			said := tt.do()
			runtime.ReadMemStats(&after)
			if !strings.Contains(said, tt.want) {
				t.Errorf("%s, want %q", said, tt.want)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > 16<<20 {
				t.Errorf("%d bytes were allocated", n)
			}
		})
	}
}
