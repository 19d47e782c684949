//go:build unix && !linux

package demo

import "syscall"

// ownGroup keeps a terminal's ctrl-C away from a child.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// loopback returns an address of this machine.
func loopback() string { return "127.0.0.1" }
