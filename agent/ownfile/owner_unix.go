//go:build unix

package ownfile

import (
	"fmt"
	"io/fs"
	"os"
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
