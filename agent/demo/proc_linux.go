package demo

import (
	"fmt"
	"math/rand/v2"
	"syscall"
)

// ownGroup keeps a terminal's ctrl-C away from a child, and ends it when we are killed.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

// loopback returns an address of this machine: any of 127.0.0.0/8 is one.
func loopback() string { return fmt.Sprintf("127.%d.%d.%d", 1+rand.N(254), rand.N(256), 1+rand.N(254)) }
