package serialport

import (
	"fmt"
	"os"
	"syscall"
)

// Identity tells device nodes apart: it changes when a device is plugged in again, and is empty while there is none. The change
// time is a part of it, as udev may set the permissions later, and pseudo-terminals use their numbers again.
func Identity(path string) string {
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
