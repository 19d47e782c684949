package operator

import (
	"context"
	"sync"
	"time"
)

// inboxLimit is how many bytes may wait for a slow reader, a terminal say. What exceeds it is dropped and counted. An empty
// message takes messageBytes, and its topic.
const (
	inboxLimit   = 8 << 20
	messageBytes = 128
)

// message is what arrived for us.
type message struct {
	topic    string
	payload  []byte
	retained bool
}

// size is what it takes in memory, about, in bytes.
func (m message) size() int { return messageBytes + len(m.topic) + len(m.payload) }

// inbox stands between the link's reader, which must not wait, and the printer. Safe for concurrent use.
type inbox struct {
	limit int
	more  chan struct{} // capacity 1

	mu      sync.Mutex
	waiting []message
	bytes   int
	dropped int64
}

func newInbox(limit int) *inbox { return &inbox{limit: limit, more: make(chan struct{}, 1)} }

func (b *inbox) put(m message) {
	b.mu.Lock()
	if b.bytes+m.size() > b.limit {
		b.dropped++
	} else {
		b.waiting = append(b.waiting, m)
		b.bytes += m.size()
	}
	b.mu.Unlock()
	select {
	case b.more <- struct{}{}:
	default:
	}
}

// take returns the oldest message and how many were dropped since the last call; ok is false when ctx has ended, whatever
// waits: else a broker that keeps sending would have no end.
func (b *inbox) take(ctx context.Context) (m message, dropped int64, ok bool) {
	for {
		if ctx.Err() != nil {
			return message{}, 0, false
		}
		if m, dropped, ok = b.tryTake(); ok {
			return m, dropped, true
		}
		select {
		case <-b.more:
		case <-ctx.Done():
		}
	}
}

// takeBy is take until a time, zero: without an end; ok is false then too.
func (b *inbox) takeBy(ctx context.Context, by time.Time) (m message, dropped int64, ok bool) {
	if !by.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, by)
		defer cancel()
	}
	return b.take(ctx)
}

func (b *inbox) tryTake() (m message, dropped int64, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting) == 0 {
		return m, 0, false
	}
	m, dropped = b.waiting[0], b.dropped
	b.waiting[0] = message{}
	b.waiting = b.waiting[1:]
	b.bytes -= m.size()
	b.dropped = 0
	return m, dropped, true
}
