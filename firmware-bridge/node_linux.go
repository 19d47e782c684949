package bridge

import (
	"fmt"
	"os"
	"syscall"
)

// node tells device nodes apart. The change time is a part of it: udev may set the permissions later, and pseudo-terminals use
// their numbers again.
func node(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return fmt.Sprint(st.Ino, st.Rdev, st.Ctim)
}
