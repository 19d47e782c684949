//go:build unix

package ownfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const aStranger = 4711

func needsRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make what is a stranger's")
	}
}

// Programs stand in what is obeyed: whoever may write it would run them as us.
func TestWhatOthersCanWriteIsNotObeyed(t *testing.T) {
	needsRoot(t)
	for name, c := range map[string]struct {
		dirOwner, owner int
		mode            fs.FileMode
		says            string // empty: it is read
	}{
		"ours":                                {0, 0, 0o600, ""},
		"ours, in a stranger's directory":     {aStranger, 0, 0o644, ""},
		"a stranger's":                        {0, aStranger, 0o600, "belongs to user 4711"},
		"a stranger's, in his directory":      {aStranger, aStranger, 0o600, "belongs to user 4711"},
		"another stranger's, in his":          {aStranger, 4712, 0o400, "belongs to user 4712"},
		"ours, which everybody may write":     {0, 0, 0o666, "chmod 0600"},
		"ours, which a group may write":       {0, 0, 0o660, "chmod 0600"},
		"a stranger's, which only root may …": {0, aStranger, 0, "belongs to user 4711"},
	} {
		t.Run(name, func(t *testing.T) {
			root, dir := openDir(t)
			path := filepath.Join(dir, "x")
			if err := errors.Join(os.WriteFile(path, []byte("hooks"), 0o600), os.Chmod(path, c.mode),
				os.Chown(path, c.owner, c.owner), os.Chown(dir, c.dirOwner, c.dirOwner)); err != nil {
				t.Fatal(err)
			}
			p, err := ReadOwn(root, "x", 100)
			if c.says == "" {
				if err != nil || string(p) != "hooks" {
					t.Errorf("%q, %v", p, err)
				}
				return
			}
			if !errors.Is(err, ErrNotOurs) || !strings.Contains(err.Error(), c.says) || p != nil {
				t.Errorf("%q, %v", p, err)
			}
			if p, err := Read(root, "x", 100); err != nil || string(p) != "hooks" {
				t.Errorf("what is only believed is not read: %v", err)
			}
		})
	}
}

// Who may replace a directory on the way to ours, or a link, chooses what is in ours.
func TestWhoElseCanChangeADirectory(t *testing.T) {
	needsRoot(t)
	folder := func(path string, owner int, mode fs.FileMode) error {
		return errors.Join(os.Mkdir(path, 0o700), os.Chmod(path, mode), os.Chown(path, owner, owner))
	}
	for name, c := range map[string]struct {
		prepare func(in string) (dir string, err error)
		says    string // with @ for the folder; empty: nobody
	}{
		"ours": {func(in string) (string, error) { return in, nil }, ""},
		"ours, which a group may use": {func(in string) (string, error) {
			return in + "/state", folder(in+"/state", 0, 0o775)
		}, ""},
		"a stranger's": {func(in string) (string, error) {
			return in + "/state", folder(in+"/state", aStranger, 0o700)
		}, "it belongs to user 4711, not to user 0 or root: chown -hR 0 @/state"},
		"one for everybody": {func(in string) (string, error) {
			return in + "/state", folder(in+"/state", 0, 0o777)
		}, "every user may change what is in @/state: chmod o-w @/state"},
		"a sticky one for everybody": {func(in string) (string, error) {
			return in + "/state", folder(in+"/state", 0, 0o777|fs.ModeSticky)
		}, "every user may change what is in @/state"},
		"ours in a sticky one": {func(in string) (string, error) {
			return in + "/tmp/state", errors.Join(folder(in+"/tmp", 0, 0o777|fs.ModeSticky), folder(in+"/tmp/state", 0, 0o700))
		}, ""},
		"ours in one for everybody": {func(in string) (string, error) {
			return in + "/data/a/state", errors.Join(folder(in+"/data", 0, 0o777), folder(in+"/data/a", 0, 0o755),
				folder(in+"/data/a/state", 0, 0o700))
		}, "every user may change what is in @/data: chmod o-w @/data"},
		"ours in a stranger's": {func(in string) (string, error) {
			return in + "/home/state", errors.Join(folder(in+"/home", aStranger, 0o755), folder(in+"/home/state", 0, 0o700))
		}, "@/home on the way to it may be replaced: it belongs to user 4711"},
		"our link to ours": {func(in string) (string, error) {
			return in + "/link", errors.Join(folder(in+"/state", 0, 0o700), os.Symlink("state", in+"/link"))
		}, ""},
		"our link to a stranger's": {func(in string) (string, error) {
			return in + "/a/link", errors.Join(folder(in+"/a", 0, 0o700), folder(in+"/state", aStranger, 0o700),
				os.Symlink("../state", in+"/a/link"))
		}, "chown -hR 0 @/state"},
		"a stranger's link to ours": {func(in string) (string, error) {
			return in + "/link", errors.Join(folder(in+"/state", 0, 0o700), os.Symlink(in+"/state", in+"/link"),
				os.Lchown(in+"/link", aStranger, aStranger))
		}, "@/link on the way to it may be replaced: it belongs to user 4711"},
		"our link over a stranger's directory": {func(in string) (string, error) {
			return in + "/link", errors.Join(folder(in+"/home", aStranger, 0o755), folder(in+"/state", 0, 0o700),
				os.Symlink(in+"/home/next", in+"/link"), os.Symlink("../state", in+"/home/next"))
		}, "@/home on the way to it may be replaced"},
		"a link to itself": {func(in string) (string, error) {
			return in + "/link", os.Symlink("link", in+"/link")
		}, ""},
		"none": {func(in string) (string, error) { return in + "/none", nil }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			in := t.TempDir()
			dir, err := c.prepare(in)
			if err != nil {
				t.Fatal(err)
			}
			got := Others(dir)
			if want := strings.ReplaceAll(c.says, "@", in); (got == "") != (want == "") || !strings.Contains(got, want) {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
}
