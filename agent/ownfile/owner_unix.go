//go:build unix

package ownfile

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// nonBlocking: the open of a FIFO that took the place of a file does not wait for its other end.
const nonBlocking = syscall.O_NONBLOCK

// foreign says whose a file is that is neither ours nor, in a directory of ours, root's or of whom that belongs to; empty: it is
// none. dir is nil where the directory is a stranger's.
func foreign(file, dir fs.FileInfo) string {
	f, ok := file.Sys().(*syscall.Stat_t)
	if !ok || f.Uid == uint32(os.Geteuid()) {
		return ""
	}
	if dir != nil {
		if d, ok := dir.Sys().(*syscall.Stat_t); !ok || f.Uid == 0 || f.Uid == d.Uid {
			return ""
		}
	}
	return fmt.Sprintf("a file of user %d", f.Uid)
}

// writer says who else than root and we may have written a file; empty: nobody.
func writer(root *os.Root, name string, file fs.FileInfo) string {
	return writerOn(path(root, name), file, func() nature { return natureOf(root) })
}

// writerOn asks for the disk only where it matters.
func writerOn(path string, file fs.FileInfo, nature func() nature) string {
	who, mode := stranger(file), file.Mode().Perm()
	if who == "" && mode&0o022 == 0 {
		return ""
	}
	disk := nature()
	switch {
	case who != "" && !disk.gives(file):
		return fmt.Sprintf("%s: look at what it says, then chown %d %s", who, os.Geteuid(), path)
	case mode&0o022 == 0:
		return ""
	case disk.open:
		return fmt.Sprintf("its mode is %04o, as every file's on that disk", mode)
	}
	return fmt.Sprintf("its mode is %04o: look at what it says, then chmod 0600 %s", mode, path)
}

// nature is what becomes of the owner and the mode of a file that we make on a disk: not each can keep them. The zero value is
// of one that keeps both, or on which nothing can be made.
type nature struct {
	dev   uint64
	owner uint32 // who gets it, if not we
	given bool   // somebody else gets it
	open  bool   // everybody may write it, whatever its mode was to be
}

// natureOf makes a file to see it.
func natureOf(root *os.Root) (n nature) {
	info, err := sample(root)
	if err != nil {
		return n
	}
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		n = nature{uint64(s.Dev), s.Uid, s.Uid != uint32(os.Geteuid()), info.Mode().Perm()&0o002 != 0}
	}
	return n
}

// gives tells whether something belongs to whom the disk gives what is ours.
func (n nature) gives(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && n.given && s.Uid == n.owner && uint64(s.Dev) == n.dev
}

// opens tells whether something is on the disk that lets everybody write.
func (n nature) opens(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && n.open && uint64(s.Dev) == n.dev
}

// stranger says whose something is that is neither root's nor ours; empty: it is.
func stranger(info fs.FileInfo) string {
	if s, ok := info.Sys().(*syscall.Stat_t); ok && s.Uid != 0 && s.Uid != uint32(os.Geteuid()) {
		return fmt.Sprintf("it belongs to user %d, not to user %d or root", s.Uid, os.Geteuid())
	}
	return ""
}

// Chown is the command that makes all in a directory ours again, when we run as another user than before.
func Chown(path string) string { return fmt.Sprintf("chown -hR %d %s", os.Geteuid(), path) }

// mostLinks of a path are followed, as the kernel does (path_resolution(7)).
const mostLinks = 40

// Others says who else than root and we may change what is in a directory, or put another one in its place: over its owner, its
// mode, and those of each directory and link on the way to it; empty: nobody. The members of a group may be meant to. The path is
// a full one. What is said is the end of a sentence, with what mends it; lasting: nothing does, as the disk keeps no owners or no
// modes, or the owner is nobody that is known in this container.
func Others(path string) (who string, lasting bool) {
	return othersOn(path, func() nature { return natureAt(path) })
}

func othersOn(path string, disk func() nature) (who string, lasting bool) {
	nobody := ""
	at, way := "/", strings.Split(filepath.Clean(path), "/")
	for links := 0; links <= mostLinks; {
		info, err := os.Lstat(at)
		if err != nil {
			break
		}
		m := info.Mode()
		who, open := stranger(info), m&fs.ModeSymlink == 0 && m.Perm()&0o002 != 0
		switch {
		case who != "" && (disk().gives(info) || unmapped(info)):
			nobody = cmp.Or(nobody, fmt.Sprintf("%s: %s, and nobody can give it away here", at, who))
		case who != "" && (len(way) > 0 || m&fs.ModeSymlink != 0):
			return fmt.Sprintf("%s on the way to it may be replaced: %s: name a directory that nobody else can move", at,
				who), false
		case who != "":
			return who + ": " + Chown(at), false
		case open && disk().opens(info):
			nobody = cmp.Or(nobody, fmt.Sprintf("every user may change what is in %s, as its disk keeps no modes", at))
		case open && (m&fs.ModeSticky == 0 || len(way) == 0):
			return fmt.Sprintf("every user may change what is in %s: chmod o-w %[1]s", at), false
		}
		if m&fs.ModeSymlink != 0 {
			to, err := os.Readlink(at)
			if err != nil {
				break
			}
			links++
			way = append(strings.Split(to, "/"), way...)
			if at = filepath.Dir(at); filepath.IsAbs(to) {
				at = "/"
			}
		}
		if len(way) == 0 {
			break
		}
		at, way = filepath.Join(at, way[0]), way[1:]
	}
	return nobody, nobody != ""
}

func natureAt(path string) nature {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nature{}
	}
	defer root.Close()
	return natureOf(root)
}

// unmapped tells whether something belongs to a user that has no number in our user namespace: it shows as the overflow user's
// (user_namespaces(7)), and nobody in here can chown it. Where all numbers are mapped, that one is a user as any.
func unmapped(info fs.FileInfo) bool {
	const overflow = 65534
	ids, err := os.ReadFile("/proc/self/uid_map")
	whole := strings.Join(strings.Fields(string(ids)), " ") == "0 0 4294967295"
	s, ok := info.Sys().(*syscall.Stat_t)
	return err == nil && !whole && ok && s.Uid == overflow
}
