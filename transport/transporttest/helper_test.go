package transporttest_test

import (
	"bytes"
	"net"
)

// keepalive writes its own seconds into an outgoing CONNECT, so that paho, which never pings with 0, still promises some.
type keepalive struct {
	net.Conn
	seconds byte
}

// Write patches the last byte of the keepalive: it lies behind header, length, "MQTT" with its length, level and flags.
func (k keepalive) Write(p []byte) (int, error) {
	if len(p) > 12 && p[0] == 0x10 {
		p = bytes.Clone(p)
		p[11] = k.seconds
	}
	return k.Conn.Write(p)
}
