package kit

import (
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Socket is one TCP connection of a process' network namespace, from /proc/<pid>/net/tcp.
type Socket struct {
	LocalPort, RemotePort int
	RemoteIP              string
	State                 string // "01" = ESTABLISHED (include/net/tcp_states.h)
	TxQueue               int64  // bytes the peer has not acknowledged
}

// Established lists the process' namespace's established connections to a remote host:port.
func (p *Proc) Established(hostport string) ([]Socket, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/tcp", p.Pid()))
	if err != nil {
		return nil, fmt.Errorf("sockets of %s: %w", p.Name, err)
	}
	var found []Socket
	for _, line := range strings.Split(string(b), "\n")[1:] {
		s, ok := parseSocket(strings.Fields(line))
		if ok && s.State == "01" && fmt.Sprintf("%s:%d", s.RemoteIP, s.RemotePort) == hostport {
			found = append(found, s)
		}
	}
	return found, nil
}

func parseSocket(f []string) (s Socket, ok bool) {
	if len(f) < 5 {
		return s, false
	}
	_, local, _ := strings.Cut(f[1], ":")
	ip, remote, _ := strings.Cut(f[2], ":")
	tx, _, _ := strings.Cut(f[4], ":")
	b, err := hex.DecodeString(ip)
	if err != nil || len(b) != 4 {
		return s, false
	}
	s.RemoteIP = fmt.Sprintf("%d.%d.%d.%d", b[3], b[2], b[1], b[0]) // the kernel prints host order: little endian
	s.LocalPort, s.RemotePort, s.State = fromHex(local), fromHex(remote), f[3]
	s.TxQueue = int64(fromHex(tx))
	return s, true
}

func fromHex(s string) int {
	n, err := strconv.ParseInt(s, 16, 64)
	if err != nil {
		return -1
	}
	return int(n)
}
