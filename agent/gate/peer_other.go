//go:build !linux

package gate

import (
	"net"
	"os"
)

// peer cannot be told here: what protects is the folder of the socket.
func peer(*net.UnixConn) (uid int, err error) { return os.Geteuid(), nil }

// Asker is empty.
func Asker(net.Conn) string { return "" }
