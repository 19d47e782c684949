package gate

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// peer is the user who listens at the other end of a unix socket (SO_PEERCRED, unix(7)).
func peer(conn *net.UnixConn) (uid int, err error) {
	cred, err := credentials(conn)
	if err != nil {
		return 0, err
	}
	return int(cred.Uid), nil
}

// Asker says who is at the other end of a connection to our socket, for the log: "user 1000, pid 4711"; empty: it cannot be told.
func Asker(conn net.Conn) string {
	unixConn, ok := conn.(*net.UnixConn)
	if !ok {
		return ""
	}
	cred, err := credentials(unixConn)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("user %d, pid %d", cred.Uid, cred.Pid)
}

func credentials(conn *net.UnixConn) (cred *unix.Ucred, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	failed := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if failed != nil {
		return nil, failed
	}
	return cred, err
}
