package console

import (
	"sync"
	"time"

	"github.com/linkbeat/linkbeat/agent/wire"
)

// outboxMost is how many messages may wait before answers to the operator are left out.
const outboxMost = 256

// outbox holds what a session has to tell its operator, in order. What a device sends either fits or is dropped and counted:
// the network never slows the serial side. Safe for concurrent use.
type outbox struct {
	limit int           // bytes of data
	chunk int           // bytes of data in a message
	more  chan struct{} // capacity 1: there is something new

	mu    sync.Mutex
	queue []wire.ConsoleUp
	bytes int   // of data in queue
	lost  int64 // bytes that did not fit since the last that did
	all   int64 // bytes that did not fit
	taken int64 // bytes of the operator that were dealt with
}

func newOutbox(limit, chunk int) *outbox {
	return &outbox{limit: limit, chunk: chunk, more: make(chan struct{}, 1)}
}

// data is called with what went over the port; it never waits.
func (b *outbox) data(at time.Time, out bool, p []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.wake()
	if b.bytes+len(p) > b.limit || b.lost > 0 && b.bytes > b.limit/2 { // one hole, and not many small ones
		b.lost += int64(len(p))
		b.all += int64(len(p))
		return
	}
	b.bytes += len(p)
	for len(p) > 0 {
		p = p[b.add(at, out, p):]
	}
}

// add puts a part of p into the last message, or into a new one.
func (b *outbox) add(at time.Time, out bool, p []byte) int {
	if n := len(b.queue); n > 0 && b.lost == 0 {
		last := &b.queue[n-1]
		if room := b.chunk - len(last.Data); last.Op == wire.ConsoleData && last.Out == out && room > 0 {
			taken := min(room, len(p))
			last.Data = append(last.Data, p[:taken]...)
			return taken
		}
	}
	taken := min(b.chunk, len(p))
	b.queue = append(b.queue, wire.ConsoleUp{Op: wire.ConsoleData, TS: at.UnixMilli(), Out: out, Lost: b.lost, Taken: b.taken,
		Data: append([]byte(nil), p[:taken]...)})
	b.lost = 0
	return taken
}

// say adds a message of the gateway's own. Of what an operator can ask for as often as he likes, one that waits is enough.
func (b *outbox) say(m wire.ConsoleUp) {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.wake()
	again := m.Op == wire.ConsoleKept || m.Op == wire.ConsoleFault
	if n := len(b.queue); again && n > 0 && b.queue[n-1].Op == m.Op {
		b.queue[n-1].Taken = b.taken
		return
	} else if (again || m.Op == wire.ConsoleSet) && n >= outboxMost {
		return
	}
	m.Taken = b.taken
	if m.Op == wire.ConsoleClosed || m.Op == wire.ConsoleKept {
		m.Lost, b.lost = b.lost, 0
	}
	b.queue = append(b.queue, m)
}

// took is called when bytes of the operator were dealt with. What is told later says so, after what the device had said before:
// so an operator does not outrun the answers of a device.
func (b *outbox) took(n int) (all int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.taken += int64(n)
	return b.taken
}

// wake tells who takes; b.mu is held.
func (b *outbox) wake() {
	select {
	case b.more <- struct{}{}:
	default:
	}
}

// take is the next message; false: there is none.
func (b *outbox) take() (m wire.ConsoleUp, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) == 0 {
		return m, false
	}
	m = b.queue[0]
	b.queue[0] = wire.ConsoleUp{}
	b.queue = b.queue[1:]
	b.bytes -= len(m.Data)
	return m, true
}

// dropped is how many bytes did not fit so far.
func (b *outbox) dropped() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all
}
