//go:build !unix

package demo

import "syscall"

// ownGroup: a ctrl-C goes to a child too.
func ownGroup() *syscall.SysProcAttr { return nil }

// loopback returns an address of this machine.
func loopback() string { return "127.0.0.1" }
