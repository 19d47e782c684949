//go:build unix

package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Root's agent ran the hooks, facts and path_hint of a last good document that a local user had put into the state directory.
func TestALastGoodDocumentOfOthersIsNotRun(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make a stranger's file")
	}
	const stranger = 4711
	for name, c := range map[string]struct {
		steal func(state, good string) error
		runs  Origin
		says  string
	}{
		"ours": {func(_, _ string) error { return nil }, FromLastGood, "running the last good"},
		"a stranger's": {func(_, good string) error { return os.Chown(good, stranger, stranger) }, FromSalvage,
			"it belongs to user 4711, not to user 0 or root: chown it"},
		"a stranger's in his directory": {func(state, good string) error {
			return errors.Join(os.Chown(state, stranger, stranger), os.Chown(good, stranger, stranger))
		}, FromSalvage, "it belongs to user 4711"},
		"behind a link to his directory": {func(state, good string) error {
			his := state + "-his"
			return errors.Join(os.Chown(good, stranger, stranger), os.Rename(state, his), os.Symlink(his, state))
		}, FromSalvage, "it belongs to user 4711"},
		"ours, which everybody may write": {func(_, good string) error { return os.Chmod(good, 0o666) }, FromSalvage,
			"then chmod 0600"},
		"ours, in a stranger's directory": {func(state, _ string) error { return os.Chown(state, stranger, stranger) },
			FromLastGood, "running the last good"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			good := filepath.Join(s.state, goodFile)
			s.keep(t, keptSite+"hooks: {up: [touch, /root/owned]}\n")
			if err := c.steal(s.state, good); err != nil {
				t.Fatal(err)
			}
			b, err := s.boot(t, goodSite+"logg: {}\n")
			if err != nil || b.Origin != c.runs || !strings.Contains(b.ConfigError, c.says) {
				t.Fatalf("%s runs, %v: %s", b.Origin, err, b.ConfigError)
			}
			if b.Origin == FromSalvage && b.Document.Hooks.Up != nil {
				t.Errorf("a stranger's program would run: %v", b.Document.Hooks.Up)
			}
			b, err = s.boot(t, goodSite) // mended, and put to use
			if err != nil || b.ConfigError != "" {
				t.Fatal(b.ConfigError, err)
			}
			_ = b.Store.SaveGood(b.Source)
			if again, err := s.boot(t, "state_dir: @\n}"); err == nil && again.Document.Hooks.Up != nil {
				t.Errorf("later: %v", again.Document.Hooks.Up)
			}
		})
	}
}
