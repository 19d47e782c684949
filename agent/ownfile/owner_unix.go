//go:build unix

package ownfile

import (
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
	return fmt.Sprintf("a file of user %d (chown it to user %d if it is the agent's)", f.Uid, os.Geteuid())
}

// writer says who else than root and we may have written a file; empty: nobody.
func writer(file fs.FileInfo) string {
	if who := stranger(file); who != "" {
		return who + ": chown it if it is the agent's, or run this as that user"
	}
	if m := file.Mode().Perm(); m&0o022 != 0 {
		return fmt.Sprintf("its mode is %04o: look at what it says, then chmod 0600", m)
	}
	return ""
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
// a full one. What is said is the end of a sentence, with what mends it.
func Others(path string) string {
	at, way := "/", strings.Split(filepath.Clean(path), "/")
	for links := 0; links <= mostLinks; {
		info, err := os.Lstat(at)
		if err != nil {
			return ""
		}
		if who := stranger(info); who != "" && (len(way) > 0 || info.Mode()&fs.ModeSymlink != 0) {
			return fmt.Sprintf("%s on the way to it may be replaced: %s: name a directory that nobody else can move", at, who)
		} else if who != "" {
			return who + ": " + Chown(at)
		}
		m := info.Mode()
		switch {
		case m&fs.ModeSymlink != 0:
			to, err := os.Readlink(at)
			if err != nil {
				return ""
			}
			links++
			way = append(strings.Split(to, "/"), way...)
			if at = filepath.Dir(at); filepath.IsAbs(to) {
				at = "/"
			}
		case m.Perm()&0o002 != 0 && (m&fs.ModeSticky == 0 || len(way) == 0):
			return fmt.Sprintf("every user may change what is in %s: chmod o-w %[1]s", at)
		case len(way) == 0:
			return ""
		}
		if len(way) > 0 {
			at, way = filepath.Join(at, way[0]), way[1:]
		}
	}
	return ""
}
