package gate

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// answerer is who has the other end of a connection on this machine.
type answerer struct {
	uid   int
	known bool // uid is that of a process that is there
	gone  bool // the other end is on this machine, and nobody's: it was closed before it was asked
}

// whoAnswers finds the other end of a connection from us to them, given the tables of /proc/net (proc(5)). Until it is accepted a
// connection is nobody's, and shown as root's: then it is the listener's. One that was closed is shown as root's too, and is
// nobody's.
func whoAnswers(us, them netip.AddrPort, tables ...io.Reader) (who answerer) {
	const listens, noInode = "0A", "0"
	ours, theirs := spelt(us), spelt(them)
	port := theirs[len(theirs)-len(":1F8D"):]
	nearest := 0 // how well who is known: by every address, by this one, by the connection
	for _, table := range tables {
		for lines := bufio.NewScanner(table); lines.Scan(); {
			f := strings.Fields(lines.Text())
			if len(f) < 10 {
				continue
			}
			near, held := 0, f[9] != noInode
			switch here := is(theirs, f[1]); {
			case here && is(ours, f[2]):
				who.gone = !held
				near = 3
			case f[3] != listens:
			case here:
				near = 2
			case strings.Trim(strings.TrimSuffix(f[1], port), "0") == "":
				near = 1
			}
			if uid, err := strconv.Atoi(f[7]); err == nil && held && near > nearest {
				who.uid, who.known, nearest = uid, true, near
			}
		}
	}
	if who.known {
		who.gone = false
	}
	return who
}

// spelt is an address as the table of IPv6 has it: words in the order of the machine, "0000000000000000FFFF00000100007F:1F8D".
// That of IPv4 has the last word of it alone.
func spelt(a netip.AddrPort) string {
	p, text := a.Addr().As16(), ""
	for i := 0; i < len(p); i += 4 {
		text += fmt.Sprintf("%08X", binary.NativeEndian.Uint32(p[i:]))
	}
	return fmt.Sprintf("%s:%04X", text, a.Port())
}

// is tells whether text of a table is the address that is spelt so.
func is(spelt, text string) bool {
	return text == spelt || len(text) == len("0100007F:1F8D") && strings.HasSuffix(spelt, text)
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
	return whoAnswers(us, them, tables...)
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
