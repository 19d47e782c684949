package transport

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/linkbeat/linkbeat/transport/codec"
	"github.com/linkbeat/linkbeat/transport/faults"
	"github.com/linkbeat/linkbeat/transport/netdial"
)

// Ack tells what became of one message. Acks of a link complete in the order of Send: a done Ack without error means that
// all before it were acknowledged too. Safe for concurrent use.
type Ack struct {
	done chan struct{}

	// guarded by flight.mu until done is closed, then immutable
	m       Message
	err     error
	id      uint16 // packet identifier; 0 until the library gave one, and with QoS 0
	written bool   // the write of it has begun
	acked   bool   // PUBACK came, or QoS 0 was written; but an earlier one may still be open

	place chan struct{} // the window that it has a place in; nil: none
}

// Done is closed when the message was acknowledged (QoS 0: written), or its session lost.
func (a *Ack) Done() <-chan struct{} { return a.done }

// Err is nil after PUBACK, ErrPending before Done, and wraps ErrLost when the session was lost: then the server may or may
// not have the message. It wraps ErrClosed too when the server closed the session.
func (a *Ack) Err() error {
	select {
	case <-a.done:
		return a.err
	default:
		return ErrPending
	}
}

// flight is everything of one session that waits for an acknowledgement: the window, and the library's message store. The
// library puts a QoS 1 publish into its Store before it writes it, which tells its packet identifier; the conn shows us the
// PUBACK before the library gets it. It starts empty: what a lost session did not get across is sent again by its owner,
// never by the library. Safe for concurrent use.
type flight struct {
	slots chan struct{} // one element per publish in flight: the window
	apart chan struct{} // the window of what must not wait for a place behind a backlog
	out   chan *Ack     // to the publisher; holds both windows, so that a send with a slot never blocks
	lost  chan struct{} // closed by fail
	ended chan struct{} // closed by stop
	moved atomic.Bool   // stop was for a planned re-dial

	mu      sync.Mutex
	order   []*Ack // not done, in the order of send
	byID    map[uint16]*Ack
	subs    map[uint16]int   // filters of an unanswered SUBSCRIBE
	in      map[uint16]Cause // of messages that came in and that the library has not acknowledged
	handing *Ack             // now with the library
	waiting time.Time        // since when nothing of what is owed was acknowledged; zero: nothing is owed
	err     error
}

// apartWindow is how many publishes of Ordered may be in flight.
const apartWindow = 16

func newFlight(window int) *flight {
	return &flight{
		slots: make(chan struct{}, window), apart: make(chan struct{}, apartWindow), out: make(chan *Ack, window+apartWindow+1), lost: make(chan struct{}), ended: make(chan struct{}),
		byID: map[uint16]*Ack{}, subs: map[uint16]int{}, in: map[uint16]Cause{},
	}
}

// send waits for a place in the window and queues m. ErrLost when the session is lost before, ErrStopped after stop.
func (f *flight) send(ctx context.Context, m Message) (*Ack, error) { return f.sendIn(ctx, f.slots, m) }

// sendIn is send for one of the windows.
func (f *flight) sendIn(ctx context.Context, window chan struct{}, m Message) (*Ack, error) {
	select {
	case <-f.ended:
		return nil, f.stopped()
	default:
	}
	select {
	case window <- struct{}{}:
	case <-f.lost:
		return nil, ErrLost
	case <-f.ended:
		return nil, f.stopped()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return f.queue(m, window)
}

// last queues m behind everything else, without a place in the window. It is called once, after stop.
func (f *flight) last(m Message) (*Ack, error) { return f.queue(m, nil) }

func (f *flight) queue(m Message, place chan struct{}) (*Ack, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return nil, ErrLost
	}
	a := &Ack{m: m, done: make(chan struct{}), place: place}
	f.order = append(f.order, a)
	f.out <- a
	return a, nil
}

// stop lets no further send begin.
func (f *flight) stop() { close(f.ended) }

// stopped is what a send gets after stop: where another session follows, it may try that one.
func (f *flight) stopped() error {
	if f.moved.Load() {
		return ErrLost
	}
	return ErrStopped
}

// inFlight is the publishes that were sent and are not done.
func (f *flight) inFlight() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.order)
}

// drained waits, after stop, until nothing is in flight.
func (f *flight) drained(ctx context.Context) {
	for _, window := range []chan struct{}{f.slots, f.apart} {
		for range cap(window) {
			select {
			case window <- struct{}{}:
			case <-f.lost:
				return
			case <-ctx.Done():
				return
			}
		}
	}
}

// hand says that the library gets a next; false when it is in the library already, or done.
func (f *flight) hand(a *Ack) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a.written || f.err != nil {
		return false
	}
	delete(f.byID, a.id)
	a.id = 0
	f.handing = a
	return true
}

// writing is called before a packet of the library goes out. It returns what the packet is booked under, and what is owed by
// the server then.
func (f *flight) writing(o codec.Outbound, now time.Time) (Cause, int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	cause := netdial.CauseHandshake
	switch o.Kind {
	case codec.TypeSubscribe:
		f.subs[o.ID] = o.Filters
	case codec.TypePuback:
		cause = f.in[o.ID]
		delete(f.in, o.ID)
	case codec.TypePublish:
		a := f.byID[o.ID]
		if o.QoS == 0 {
			a = f.firstUnwritten()
		}
		if a != nil {
			a.written, cause = true, a.m.Cause
		}
	}
	owed := f.owed()
	if owed > 0 && f.waiting.IsZero() {
		f.waiting = now
	}
	return cause, owed
}

// unanswered returns since when nothing of what the server owes was acknowledged; zero: it owes nothing.
func (f *flight) unanswered() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.waiting
}

// progress restarts the wait for what is still owed, or ends it. mu is held.
func (f *flight) progress(now time.Time) (owed int) {
	f.waiting = time.Time{}
	if owed = f.owed(); owed > 0 {
		f.waiting = now
	}
	return owed
}

// firstUnwritten is the publish that the library writes now: it keeps their order.
func (f *flight) firstUnwritten() *Ack {
	for _, a := range f.order {
		if !a.written {
			return a
		}
	}
	return nil
}

// wrote is called after a QoS 0 publish went out: that is all the acknowledgement it gets.
func (f *flight) wrote() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.order {
		if a.written && a.m.QoS == 0 && !a.acked {
			a.acked, a.m.Payload = true, nil
			break
		}
	}
	f.complete()
}

// owed is what the server must still acknowledge.
func (f *flight) owed() int {
	n := len(f.subs)
	for _, a := range f.byID {
		if a.written && !a.acked {
			n++
		}
	}
	return n
}

// answer is called for each PUBACK and SUBACK before the library sees it. known is false for one that answers nothing of
// ours, which the library must not see: it would take it for another. cause is for the ledger, owed what is still owed.
func (f *flight) answer(h codec.Header, body []byte, now time.Time) (cause Cause, owed int, known bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := codec.PacketID(body)
	if h.Kind == codec.TypeSuback {
		n, ok := f.subs[id]
		if ok && len(body)-2 != n { // [MQTT-3.8.4-5]; the library would panic
			return netdial.CauseHandshake, 0, true, faults.Nonsense("a SUBACK of %d codes for %d filters", len(body)-2, n)
		}
		delete(f.subs, id)
		return netdial.CauseHandshake, f.progress(now), ok, nil
	}
	a := f.byID[id]
	if a == nil || !a.written || a.acked {
		return CauseData, f.owed(), false, nil
	}
	delete(f.byID, id)
	a.acked, a.m.Payload = true, nil
	f.complete()
	return a.m.Cause, f.progress(now), true, nil
}

// came is called with each QoS 1 message that came in, so that our PUBACK is booked under the same cause.
func (f *flight) came(id uint16, c Cause) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.in[id] = c
}

// complete closes the acknowledged prefix, and gives its places in the window back. mu is held.
func (f *flight) complete() {
	for len(f.order) > 0 && f.order[0].acked {
		a := f.order[0]
		f.order[0] = nil
		f.order = f.order[1:]
		close(a.done)
		if a.place != nil {
			<-a.place
		}
	}
}

// blame is why a session's flight failed, for those whose messages were in it.
func blame(v faults.Verdict, why error) error {
	if v.Kind == faults.OutcomeClosed {
		return fmt.Errorf("%w: %w", ErrClosed, why)
	}
	return why
}

// fail ends every flight: the session is lost because of why.
func (f *flight) fail(why error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return
	}
	f.err = fmt.Errorf("%w: %w", ErrLost, why)
	for _, a := range f.order {
		a.err = f.err
		close(a.done)
	}
	f.order, f.byID, f.handing = nil, map[uint16]*Ack{}, nil
	close(f.lost)
}

// The library's Store. Keys are "o.<id>" for what we sent and "i.<id>" for what we got.

var _ mqtt.Store = (*flight)(nil)

const outKey = "o."

// Open is the library's.
func (f *flight) Open() {}

// Put is called by the library before a QoS 1 publish is written.
func (f *flight) Put(key string, p packets.ControlPacket) {
	id, ok := outID(key)
	if _, publish := p.(*packets.PublishPacket); !ok || !publish {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.handing != nil {
		f.handing.id = id
		f.byID[id] = f.handing
	}
}

// Get is called by the library only for what All lists.
func (f *flight) Get(string) packets.ControlPacket { return nil }

// All is empty, so that the library never sends anything again by itself.
func (f *flight) All() []string { return nil }

// Del is called by the library after PUBACK; answer has seen it first.
func (f *flight) Del(string) {}

// Close is the library's.
func (f *flight) Close() {}

// Reset is the library's.
func (f *flight) Reset() {}

func outID(key string) (uint16, bool) {
	n, err := strconv.ParseUint(strings.TrimPrefix(key, outKey), 10, 16)
	return uint16(n), err == nil && strings.HasPrefix(key, outKey)
}
