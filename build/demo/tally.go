package demo

import (
	"bytes"
	"sync"

	"github.com/linkbeat/linkbeat/agent/operator"
	"github.com/linkbeat/linkbeat/agent/wire"
)

// Result compares what the device sent with what the broker got.
type Result struct {
	Sent       int64 // lines that the device has put on its line
	Received   int64 // frames that arrived, duplicates apart
	Lost       int64 // lines without their frame
	Altered    int64 // frames that are no line of the device in its place
	Duplicated int64 // frames that arrived again
	Gaps       int64 // gap records
}

// Whole reports whether every line arrived, as it was and in order.
func (r Result) Whole() bool { return r.Lost == 0 && r.Altered == 0 }

// tally books both ends. Safe for concurrent use.
type tally struct {
	mu      sync.Mutex
	sent    [][]byte
	got     [][]byte // in the order of arrival, duplicates apart
	tracker operator.Tracker
	change  chan struct{} // capacity 1: a frame arrived
}

func newTally() *tally { return &tally{change: make(chan struct{}, 1)} }

// send is called after the device has written a line.
func (t *tally) send(line []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sent = append(t.sent, line)
}

// arrive is called with each record at the broker; it reports whether it was new.
func (t *tally) arrive(stream string, r wire.Record) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.tracker.See(stream, r).Duplicate {
		return false
	}
	if b, err := r.Bytes(); r.Gap == nil && err == nil {
		t.got = append(t.got, b)
	}
	select {
	case t.change <- struct{}{}:
	default:
	}
	return true
}

// complete reports whether as many frames arrived as lines were sent.
func (t *tally) complete() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.got) >= len(t.sent)
}

// result compares in order: each frame must be the next line, or a later one, and the lines between are lost.
func (t *tally) result() Result {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.tracker.Counts()
	r := Result{Sent: int64(len(t.sent)), Received: int64(len(t.got)), Duplicated: c.Duplicates, Gaps: c.Gaps}
	next, matched := 0, int64(0)
	for _, frame := range t.got {
		at := next
		for at < len(t.sent) && !bytes.Equal(t.sent[at], frame) {
			at++
		}
		if at == len(t.sent) {
			r.Altered++
			continue
		}
		next = at + 1
		matched++
	}
	r.Lost = r.Sent - matched
	return r
}
