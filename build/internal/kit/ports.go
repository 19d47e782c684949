package kit

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports are taken from below the kernel's ephemeral range (32768…), so that no outgoing connection takes one while its
// broker is down.
const (
	portsFrom = 18000
	portsTo   = 32000
)

// FreePort finds a TCP port of addr that nobody listens on now.
func FreePort(addr string) (int, error) {
	for range 200 {
		port := portsFrom + rand.IntN(portsTo-portsFrom)
		l, err := net.Listen("tcp", net.JoinHostPort(addr, strconv.Itoa(port)))
		if err != nil {
			continue
		}
		return port, l.Close()
	}
	return 0, errors.New("no free port found in 200 tries")
}
