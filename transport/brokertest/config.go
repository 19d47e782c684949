package brokertest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
)

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// Plain is a listener on loopback that takes everyone, for Start.
func Plain(port int, _ string) string {
	return fmt.Sprintf("listener %d 127.0.0.1\nallow_anonymous true\nlog_type debug\n", port)
}

// PlainToo is another listener: with WebSocket alone mosquitto 2.0.11 does not start.
func PlainToo(t *testing.T) string { return fmt.Sprintf("listener %d 127.0.0.1\n", freePort(t)) }

// TLS is a listener that wants a client certificate.
func TLS(a *Authority, server, protocol string) func(int, string) string {
	return func(port int, _ string) string {
		return fmt.Sprintf("%slistener %d 127.0.0.1\nprotocol %s\nallow_anonymous true\nlog_type debug\ncafile %s\n"+
			"certfile %s\nkeyfile %s\nrequire_certificate true\nuser root\n", PlainToo(a.t), port, protocol, a.File("ca.crt"),
			a.File(server+".crt"), a.File(server+".key"))
	}
}

const aclFile = "acl"

// ACL is mosquitto with an acl_file: it grants every subscription, and acknowledges what it denies.
func ACL(rules string) func(int, string) string {
	return func(port int, dir string) string {
		file := filepath.Join(dir, aclFile)
		if err := os.WriteFile(file, []byte(rules), 0o644); err != nil {
			panic(err)
		}
		return fmt.Sprintf("%sacl_file %s\nuser root\n", Plain(port, dir), file)
	}
}
