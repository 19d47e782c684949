//go:build unix

package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// site's last good document has each kind of program.
const programs = "hooks: {up: [touch, /owned], down: [touch, /owned]}\n" +
	"device: {facts: {site: {command: [touch, /owned]}}}\n"

func keptPrograms() string {
	return strings.Replace(keptSite, "]}\n", "], path_hint: {command: [touch, /owned]}}\n", 1) + programs
}

// Root's agent ran the hooks, facts and path_hint of a last good document that a local user had put into the state directory. And
// one that was refused for its owner or mode was the only one with an uplink: the gateway did not start any more.
func TestProgramsOfALastGoodDocumentOfOthersAreNotRun(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make a stranger's file")
	}
	const stranger = 4711
	for name, c := range map[string]struct {
		steal func(state, good string) error
		says  string // empty: the programs run
	}{
		"ours": {func(_, _ string) error { return nil }, ""},
		"a stranger's": {func(_, good string) error { return os.Chown(good, stranger, stranger) },
			"it belongs to user 4711, not to user 0 or root: look at what it says, then chown 0 @/config.good.yaml"},
		"a stranger's in his directory": {func(state, good string) error {
			return errors.Join(os.Chown(state, stranger, stranger), os.Chown(good, stranger, stranger))
		}, "it belongs to user 4711"},
		"behind a link to his directory": {func(state, good string) error {
			his := state + "-his"
			return errors.Join(os.Chown(good, stranger, stranger), os.Rename(state, his), os.Symlink(his, state))
		}, "it belongs to user 4711"},
		"ours, which everybody may write": {func(_, good string) error { return os.Chmod(good, 0o666) },
			"then chmod 0600 @/config.good.yaml"},
		"ours, which a group may write": {func(_, good string) error { return os.Chmod(good, 0o660) },
			"its mode is 0660: look at what it says, then chmod 0600 @/config.good.yaml"},
		"ours, in a stranger's directory": {func(state, _ string) error { return os.Chown(state, stranger, stranger) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.keep(t, keptPrograms())
			if err := c.steal(s.state, filepath.Join(s.state, goodFile)); err != nil {
				t.Fatal(err)
			}
			says := strings.ReplaceAll(c.says, "@", s.state)
			b, err := s.boot(t, goodSite+"logg: {}\n") // what is sound in it has a server
			wants := FromLastGood
			if c.says != "" {
				wants = FromSalvage
			}
			if err != nil || b.Origin != wants || !strings.Contains(b.ConfigError, says) ||
				b.Origin == FromSalvage && commands(b.Document) > 0 {
				t.Fatalf("%s runs, %v: %s", b.Origin, err, b.ConfigError)
			}
			b, err = s.boot(t, "state_dir: @\nuplink: {serverz: 1}\n") // nothing else is usable
			if err != nil || b.Origin != FromLastGood || b.Document.Uplink.Servers[0].Host() != "kept.example.net" {
				t.Fatalf("%s runs, %v", b.Origin, err)
			}
			if n := commands(b.Document); (n == 0) != (c.says != "") || b.Source != nil || len(b.Document.Serial) != 1 {
				t.Errorf("%d programs would run: %s", n, b.ConfigError)
			}
			if !strings.Contains(b.ConfigError, says) ||
				strings.Contains(b.ConfigError, "without its programs") != (c.says != "") {
				t.Errorf("it says %s", b.ConfigError)
			}
			b, err = s.boot(t, goodSite) // mended, and put to use
			if err != nil || b.ConfigError != "" {
				t.Fatal(b.ConfigError, err)
			}
			_ = b.Store.SaveGood(b.Source)
			if again, err := s.boot(t, "state_dir: @\n}"); err == nil && commands(again.Document) > 0 {
				t.Error("its programs run later")
			}
		})
	}
}

func commands(d *Document) (n int) {
	for _, c := range d.Commands() {
		if len(c) > 0 {
			n++
		}
	}
	return n
}

// Nothing in a document is a program that withoutPrograms leaves, nor one that Commands does not name.
func TestWithoutProgramsLeavesNone(t *testing.T) {
	d, _, err := Parse([]byte(strings.NewReplacer("@", "/s", ", typo: {prot: /dev/ttyUSB1}", "").Replace(keptPrograms())),
		ParseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var count func(v reflect.Value) int
	count = func(v reflect.Value) (n int) {
		if c, ok := v.Interface().(Command); ok {
			return min(1, len(c))
		}
		switch v.Kind() {
		case reflect.Pointer:
			if !v.IsNil() {
				n += count(v.Elem())
			}
		case reflect.Struct:
			for i := range v.NumField() {
				if v.Type().Field(i).IsExported() {
					n += count(v.Field(i))
				}
			}
		case reflect.Map:
			for _, value := range v.Seq2() {
				n += count(value)
			}
		case reflect.Slice:
			for i := range v.Len() {
				n += count(v.Index(i))
			}
		}
		return n
	}
	bare, had := d.withoutPrograms()
	if n := count(reflect.ValueOf(d)); n != 4 || n != commands(d) || !had {
		t.Errorf("%d programs stand in it, Commands has %d", n, commands(d))
	}
	if n := count(reflect.ValueOf(bare)); n != 0 {
		t.Errorf("%d programs are left", n)
	}
	if _, had := bare.withoutPrograms(); had {
		t.Error("it had some without any")
	}
}

// What keeps a gateway from starting says why the last good document did not help.
func TestNoUplinkSaysWhatIsWrongWithTheLastGoodOne(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(good string) error
		says  string
	}{
		"a directory": {func(good string) error { return errors.Join(os.Remove(good), os.Mkdir(good, 0o700)) },
			"a directory is in the way"},
		"not YAML":  {func(good string) error { return os.WriteFile(good, []byte("{"), 0o600) }, "not YAML"},
		"no server": {func(good string) error { return os.WriteFile(good, []byte("log: {}\n"), 0o600) }, "uplink.servers"},
		"huge":      {func(good string) error { return os.Truncate(good, 1<<30) }, "has 1073741824 bytes"},
		"none":      {os.Remove, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.keep(t, keptSite)
			if err := c.spoil(filepath.Join(s.state, goodFile)); err != nil {
				t.Fatal(err)
			}
			_, err := s.boot(t, "state_dir: @\nuplink: {serverz: 1}\n")
			const because = "the last good configuration cannot be used: "
			if !errors.Is(err, ErrNoUplink) || !strings.Contains(err.Error(), c.says) ||
				strings.Contains(err.Error(), because) != (c.says != "") {
				t.Error(err)
			}
		})
	}
}
