//go:build linux

package ownfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
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
func TestWhoElseCanHaveWrittenAFileIsSaid(t *testing.T) {
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
			p, others, err := ReadOwn(root, "x", 100)
			if err != nil || string(p) != "hooks" || !strings.Contains(others, c.says) || (others == "") != (c.says == "") {
				t.Errorf("%q, %q, %v", p, others, err)
			}
			if others != "" && !strings.HasSuffix(others, path) {
				t.Errorf("%q does not say what to mend", others)
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
			got, lasting := Others(dir)
			if want := strings.ReplaceAll(c.says, "@", in); (got == "") != (want == "") ||
				!strings.Contains(got, want) || lasting {
				t.Errorf("%q, want %q; lasting: %v", got, want, lasting)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "*"+tempSuffix)); left != nil {
				t.Errorf("%v was left", left)
			}
		})
	}
}

// A disk without owners or modes cannot be mended by chown or chmod: what we make there is what ours looks like.
func TestADiskThatKeepsNoOwnersOrModes(t *testing.T) {
	needsRoot(t)
	root, dir := openDir(t)
	info := func(owner int, mode fs.FileMode) fs.FileInfo {
		t.Helper()
		f, err := root.OpenFile("x", os.O_CREATE, 0o600)
		if err = errors.Join(err, f.Close(), root.Chmod("x", mode), root.Chown("x", owner, owner)); err != nil {
			t.Fatal(err)
		}
		is, err := root.Stat("x")
		if err != nil {
			t.Fatal(err)
		}
		return is
	}
	keeps := natureOf(root)
	if keeps.given || keeps.open || keeps.dev == 0 {
		t.Fatalf("%+v", keeps)
	}
	squashed, vfat, other := keeps, keeps, keeps
	squashed.given, squashed.owner = true, aStranger
	vfat.open = true
	other.given, other.owner, other.dev = true, aStranger, keeps.dev+1
	for name, c := range map[string]struct {
		disk   nature
		owner  int
		mode   fs.FileMode
		writer string // the end of it; empty: nobody
		others string
		lasts  bool
	}{
		"NFS with root_squash":             {squashed, aStranger, 0o600, "", "nobody can give it away here", true},
		"there, what a group may write":    {squashed, aStranger, 0o660, "then chmod 0600 /x", "nobody can give it away", true},
		"there, another's":                 {squashed, 4712, 0o600, "then chown 0 /x", "chown -hR 0 " + dir, false},
		"vfat for everybody":               {vfat, 0, 0o777, "as every file's on that disk", "its disk keeps no modes", true},
		"vfat of somebody":                 {vfat, aStranger, 0o777, "then chown 0 /x", "chown -hR 0 " + dir, false},
		"a file that is on another disk":   {other, aStranger, 0o600, "then chown 0 /x", "chown -hR 0 " + dir, false},
		"a disk that keeps both, and ours": {keeps, 0, 0o600, "", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			disk := func() nature { return c.disk }
			if got := writerOn("/x", info(c.owner, c.mode), disk); !strings.HasSuffix(got, c.writer) ||
				(got == "") != (c.writer == "") {
				t.Errorf("a file: %q", got)
			}
			if err := errors.Join(os.Chmod(dir, c.mode|0o100), os.Chown(dir, c.owner, c.owner)); err != nil {
				t.Fatal(err)
			}
			if got, lasting := othersOn(dir, disk); !strings.Contains(got, c.others) || (got == "") != (c.others == "") ||
				lasting != c.lasts {
				t.Errorf("a directory: %q, lasting: %v", got, lasting)
			}
		})
	}
}

// In a container that maps few users, what belongs to the others shows as nobody's, the root directory first.
func TestADirectoryOfNobodyInAContainer(t *testing.T) {
	const inside = "LINKBEAT_TEST_INSIDE"
	if dir := os.Getenv(inside); dir != "" {
		who, lasting := Others(dir)
		fmt.Printf("%v %s\n", lasting, who)
		return
	}
	needsRoot(t)
	dir := t.TempDir()
	if err := os.Chown(dir, 1000, 1000); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestADirectoryOfNobodyInAContainer$")
	cmd.Env = append(os.Environ(), inside+"="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, Credential: &syscall.Credential{},
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 1000, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 1000, Size: 1}}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Skipf("needs user namespaces: %v: %s", err, out)
	}
	if !strings.Contains(string(out), "true /: it belongs to user 65534") {
		t.Errorf("%s", out)
	}
}
