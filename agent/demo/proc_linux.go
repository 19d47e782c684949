package demo

import "syscall"

// ownGroup keeps a terminal's ctrl-C away from a child, and ends it when we are killed.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
