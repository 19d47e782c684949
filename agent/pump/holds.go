package pump

import (
	"maps"
	"sync"

	"github.com/linkbeat/linkbeat/agent/delivery"
	"github.com/linkbeat/linkbeat/transport"
)

// Holds say on which topics nothing is published for now: their records stay in the spool, and nothing waits behind them. Safe
// for concurrent use.
type Holds interface {
	// Held is asked for each record with a spool locked: it must be quick, and must not call one.
	Held(topic string) bool
	// Changed has a value after topics came to be held, or are not held any more; one may stand for many. Only the pump takes it.
	Changed() <-chan struct{}
}

// Sizes say what becomes of a message because of its size. Safe for concurrent use.
type Sizes interface {
	// Size is asked before each publish. Of a message that is tried Outcome is asked after each signal of Holds.Changed.
	Size(m transport.Message) delivery.Fate
	Outcome() (fate delivery.Fate, known bool)
	// Forget is called when the message that was tried waits in its spool again.
	Forget()
	// Closed is called when the server has closed the connection each time when m was on its way, alone.
	Closed(m transport.Message)
	// Limit is about how many bytes of payload the server takes, and which one that is; 0: as many as we have.
	Limit() (bytes int, server string)
}

// changed is the signal of the holds; nil: there are none.
func (p *Pump) changed() <-chan struct{} {
	if p.holds == nil {
		return nil
	}
	return p.holds.Changed()
}

// isHeld tells whether what goes on topic, of stream in l, stays in the spool for now.
func (p *Pump) isHeld(l *lane, topic, stream string) bool {
	return p.suspects.holds(stream) || p.silences.holds(source{l, stream}) || p.holds != nil && topic != "" && p.holds.Held(topic)
}

// passOver has the lanes pass over what is held.
func (p *Pump) passOver() {
	for _, l := range p.lanes {
		l.passes = func(stream string) bool { return p.isHeld(l, l.encode.topic(stream), stream) }
	}
}

// revisit is called when other streams or topics are held than before.
func (p *Pump) revisit() {
	p.resized()
	if next := p.held; next != nil && p.isHeld(next.lane, next.message.Topic, next.stream) {
		next.giveBack()
		p.held = nil
	}
	for _, l := range p.lanes {
		l.revisit(p.isHeld)
	}
}

// Waiting is how many records wait, by topic; replies only while their topic is held. Safe for concurrent use.
func (p *Pump) Waiting() map[string]int64 {
	n := map[string]int64{}
	for _, l := range p.lanes {
		for stream, waiting := range l.spool.WaitingBy() {
			if topic := l.encode.topic(stream); topic != "" {
				n[topic] += waiting
			}
		}
		for topic, passed := range l.passed.get() {
			n[topic] += passed
		}
	}
	return n
}

// tally counts records that were passed over, by topic, where their stream does not tell it. Safe for concurrent use.
type tally struct {
	mu sync.Mutex
	n  map[string]int64
}

func (t *tally) add(topic string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n == nil {
		t.n = map[string]int64{}
	}
	t.n[topic]++
}

func (t *tally) clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.n)
}

func (t *tally) get() map[string]int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.n)
}
