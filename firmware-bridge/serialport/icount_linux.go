package serialport

import (
	"encoding/binary"
	"sync"

	"golang.org/x/sys/unix"
)

// struct serial_icounter_struct, linux/serial.h: 20 ints, the same on 32 and 64 bits:
//
//	0 cts │ 4 dsr │ 8 rng │ 12 dcd │ 16 rx │ 20 tx │ 24 frame │ 28 overrun │
//	32 parity │ 36 brk │ 40 buf_overrun │ 44 reserved × 9
const icountSize = 80

// icount holds the counters of a driver, which begin anywhere and wrap around.
type icount struct{ frame, overrun, parity, brk, buffer uint32 }

func readIcount(b []byte) icount {
	at := func(offset int) uint32 { return binary.NativeEndian.Uint32(b[offset:]) }
	return icount{frame: at(24), overrun: at(28), parity: at(32), brk: at(36), buffer: at(40)}
}

// since is what was counted between two readings, if no counter has wrapped around more than once.
func (c icount) since(before icount) LineErrors {
	return LineErrors{Framing: int64(c.frame - before.frame), Overrun: int64(c.overrun - before.overrun),
		Parity: int64(c.parity - before.parity), Break: int64(c.brk - before.brk), Buffer: int64(c.buffer - before.buffer)}
}

// lineWatch counts the errors of one open port. The zero value knows nothing.
type lineWatch struct {
	mu    sync.Mutex
	known bool // the driver counts
	last  icount
	sum   LineErrors
}

// begin is called when the port was opened.
func (w *lineWatch) begin(ask func(request uint, arg []byte) error) {
	var b [icountSize]byte
	if ask(unix.TIOCGICOUNT, b[:]) == nil {
		w.known, w.last = true, readIcount(b[:])
	}
}

func (w *lineWatch) look(ask func(request uint, arg []byte) error) (LineErrors, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var b [icountSize]byte
	if w.known && ask(unix.TIOCGICOUNT, b[:]) == nil {
		now := readIcount(b[:])
		w.sum, w.last = w.sum.Add(now.since(w.last)), now
	}
	return w.sum, w.known
}
