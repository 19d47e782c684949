package demo

import (
	"bytes"
	"cmp"
	"slices"
	"sync"

	"github.com/linkbeat/linkbeat/agent/operator"
	"github.com/linkbeat/linkbeat/agent/wire"
)

// Result compares what the device sent with what the broker got.
type Result struct {
	Sent       int64 `json:"sent"`       // lines that the device has put on its line
	Received   int64 `json:"received"`   // frames that arrived, duplicates apart
	Lost       int64 `json:"lost"`       // lines without their frame
	Altered    int64 `json:"altered"`    // frames that are no line of the device in its place
	Duplicated int64 `json:"duplicated"` // frames that arrived again
	Disordered int64 `json:"disordered"` // frames that arrived after a later one, both read now or both late
	Gaps       int64 `json:"gaps"`       // gap records
}

// lookahead is how many lines may be lost in a row before a frame counts as altered instead: less than the recording has,
// since its lines come again.
const lookahead = 100

// Whole reports whether every line arrived as it was, in the order of the numbers.
func (r Result) Whole() bool { return r.Lost == 0 && r.Altered == 0 }

// tally counts at both ends. Safe for concurrent use.
type tally struct {
	mu      sync.Mutex
	sent    [][]byte
	got     []frame // in the order of arrival, duplicates apart
	epochs  []string
	tracker operator.Tracker
	change  chan struct{} // capacity 1: a frame arrived
}

// frame is one that arrived. Epochs count in the order of their first frame.
type frame struct {
	epoch int
	seq   uint64
	late  bool
	data  []byte
}

func (f frame) compare(g frame) int {
	return cmp.Or(cmp.Compare(f.epoch, g.epoch), cmp.Compare(f.seq, g.seq))
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
		if !slices.Contains(t.epochs, r.Epoch) {
			t.epochs = append(t.epochs, r.Epoch)
		}
		t.got = append(t.got, frame{slices.Index(t.epochs, r.Epoch), r.Seq, r.Late, b})
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

// soFar is Result while the device talks: what is under way is not lost, and what was passed over may still come.
func (t *tally) soFar() Result {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.tracker.Counts()
	return Result{Sent: int64(len(t.sent)), Received: int64(len(t.got)), Lost: c.Lost, Duplicated: c.Duplicates,
		Gaps: c.Gaps}
}

// result compares in the order of the numbers: each frame must be the next line, or a later one, and those between are lost.
func (t *tally) result() Result {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.tracker.Counts()
	r := Result{Sent: int64(len(t.sent)), Received: int64(len(t.got)), Duplicated: c.Duplicates, Gaps: c.Gaps,
		Disordered: disorder(t.got)}
	next, matched := 0, int64(0)
	for _, f := range slices.SortedFunc(slices.Values(t.got), frame.compare) {
		ahead := t.sent[next:min(next+lookahead, len(t.sent))]
		at := slices.IndexFunc(ahead, func(line []byte) bool { return bytes.Equal(line, f.data) })
		if at < 0 {
			r.Altered++
			continue
		}
		next += at + 1
		matched++
	}
	r.Lost = r.Sent - matched
	return r
}

// disorder counts the frames that came after a later one. What waited through an outage comes beside what is read now, each in
// order.
func disorder(got []frame) (n int64) {
	highest := map[bool]frame{}
	for _, f := range got {
		if f.compare(highest[f.late]) < 0 {
			n++
		} else {
			highest[f.late] = f
		}
	}
	return n
}
