package gate

import (
	"bufio"
	"encoding/binary"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// row is a line of /proc/net/tcp (proc(5)).
type row struct {
	local, remote netip.AddrPort
	listens       bool
	uid           int
	held          bool // by a process: it has an inode
}

// tcpListen is the kernel's TCP_LISTEN, in hex digits.
const tcpListen = "0A"

// rows calls each with the rows of a table; lines that are not understood are left out.
func rows(table io.Reader, each func(row)) {
	for lines := bufio.NewScanner(table); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) < 10 {
			continue
		}
		local, okLocal := address(f[1])
		remote, okRemote := address(f[2])
		uid, err := strconv.Atoi(f[7])
		if okLocal && okRemote && err == nil {
			each(row{local, remote, f[3] == tcpListen, uid, f[9] != "0"})
		}
	}
}

// address reads "0100007F:1F8D": words of 32 bits in the order of the machine, and a port.
func address(text string) (netip.AddrPort, bool) {
	host, port, _ := strings.Cut(text, ":")
	p, err := strconv.ParseUint(port, 16, 16)
	if err != nil || len(host) != 8 && len(host) != 32 {
		return netip.AddrPort{}, false
	}
	var ip []byte
	for ; host != ""; host = host[8:] {
		word, err := strconv.ParseUint(host[:8], 16, 32)
		if err != nil {
			return netip.AddrPort{}, false
		}
		ip = binary.NativeEndian.AppendUint32(ip, uint32(word))
	}
	a, ok := netip.AddrFromSlice(ip)
	return netip.AddrPortFrom(a.Unmap(), uint16(p)), ok
}

// answerer is who has the other end of a connection on this machine.
type answerer struct {
	uid   int
	known bool // uid is that of a process that is there
	gone  bool // the other end is on this machine, and nobody's: it was closed before it was asked
}

// whoAnswers finds the other end of a connection from us to them, given the tables of /proc/net. Until it is accepted a
// connection is nobody's, and shown as root's: then it is the listener's. One that was closed is shown as root's too, and is
// nobody's.
func whoAnswers(us, them netip.AddrPort, tables ...io.Reader) answerer {
	var end, listener row
	there := false
	for _, table := range tables {
		rows(table, func(r row) {
			switch {
			case r.local == them && r.remote == us:
				end, there = r, true
			case r.listens && r.held && r.local.Port() == them.Port() &&
				(r.local.Addr() == them.Addr() || r.local.Addr().IsUnspecified()):
				if !listener.held || r.local.Addr() == them.Addr() {
					listener = r
				}
			}
		})
	}
	switch {
	case there && end.held:
		return answerer{uid: end.uid, known: true}
	case listener.held:
		return answerer{uid: listener.uid, known: true}
	}
	return answerer{gone: there}
}

// answering is whoAnswers of this machine. Without its tables nothing is known.
func answering(us, them netip.AddrPort) answerer {
	var tables []io.Reader
	for _, path := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		if f, err := os.Open(path); err == nil {
			defer f.Close()
			tables = append(tables, f)
		}
	}
	plain := func(a netip.AddrPort) netip.AddrPort {
		return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
	}
	return whoAnswers(plain(us), plain(them), tables...)
}

// owner is the user that a file belongs to; false: that cannot be told.
func owner(path string) (uid int, ok bool) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(stat.Uid), true
}
