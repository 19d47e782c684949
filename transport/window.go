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

	// guarded by window.mu until done is closed, then immutable
	m       Message
	err     error
	id      uint16 // packet identifier; 0 until the library gave one, and with QoS 0
	written bool   // the write of it has begun
	acked   bool   // PUBACK came, or QoS 0 was written; but an earlier one may still be open

	places chan struct{} // those that it has one of; nil: none
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

// window is everything of one session that waits for an acknowledgement: the publishes in flight, and the library's message store. The
// library puts a QoS 1 publish into its Store before it writes it, which tells its packet identifier; the conn shows us the
// PUBACK before the library gets it. It starts empty: what a lost session did not get across is sent again by its owner,
// never by the library. Safe for concurrent use.
type window struct {
	slots chan struct{} // one element per publish in flight: its places
	apart chan struct{} // the places of what must not wait behind a backlog
	out   chan *Ack     // to the publisher; holds all places, so that a send with a slot never blocks
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

// apartSize is how many publishes of Ordered may be in flight.
const apartSize = 16

func newWindow(size int) *window {
	return &window{
		slots: make(chan struct{}, size), apart: make(chan struct{}, apartSize), out: make(chan *Ack, size+apartSize+1),
		lost: make(chan struct{}), ended: make(chan struct{}),
		byID: map[uint16]*Ack{}, subs: map[uint16]int{}, in: map[uint16]Cause{},
	}
}

// send waits for a place in the window and queues m. ErrLost when the session is lost before, ErrStopped after stop.
func (w *window) send(ctx context.Context, m Message) (*Ack, error) { return w.sendIn(ctx, w.slots, m) }

// sendIn is send for some of the places.
func (w *window) sendIn(ctx context.Context, places chan struct{}, m Message) (*Ack, error) {
	select {
	case <-w.ended:
		return nil, w.stopped()
	default:
	}
	select {
	case places <- struct{}{}:
	case <-w.lost:
		return nil, ErrLost
	case <-w.ended:
		return nil, w.stopped()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return w.queue(m, places)
}

// last queues m behind everything else, without a place in the window. It is called once, after stop.
func (w *window) last(m Message) (*Ack, error) { return w.queue(m, nil) }

func (w *window) queue(m Message, places chan struct{}) (*Ack, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return nil, ErrLost
	}
	a := &Ack{m: m, done: make(chan struct{}), places: places}
	w.order = append(w.order, a)
	w.out <- a
	return a, nil
}

// stop lets no further send begin.
func (w *window) stop() { close(w.ended) }

// stopped is what a send gets after stop: where another session follows, it may try that one.
func (w *window) stopped() error {
	if w.moved.Load() {
		return ErrLost
	}
	return ErrStopped
}

// inFlight is the publishes that were sent and are not done.
func (w *window) inFlight() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.order)
}

// drained waits, after stop, until nothing is in flight.
func (w *window) drained(ctx context.Context) {
	for _, places := range []chan struct{}{w.slots, w.apart} {
		for range cap(places) {
			select {
			case places <- struct{}{}:
			case <-w.lost:
				return
			case <-ctx.Done():
				return
			}
		}
	}
}

// hand says that the library gets a next; false when it is in the library already, or done.
func (w *window) hand(a *Ack) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if a.written || w.err != nil {
		return false
	}
	delete(w.byID, a.id)
	a.id = 0
	w.handing = a
	return true
}

// writing is called before a packet of the library goes out. It returns what the packet is booked under, and what is owed by
// the server then.
func (w *window) writing(o codec.Outbound, now time.Time) (Cause, int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	cause := netdial.CauseHandshake
	switch o.Kind {
	case codec.TypeSubscribe:
		w.subs[o.ID] = o.Filters
	case codec.TypePuback:
		cause = w.in[o.ID]
		delete(w.in, o.ID)
	case codec.TypePublish:
		a := w.byID[o.ID]
		if o.QoS == 0 {
			a = w.firstUnwritten()
		}
		if a != nil {
			a.written, cause = true, a.m.Cause
		}
	}
	owed := w.owed()
	if owed > 0 && w.waiting.IsZero() {
		w.waiting = now
	}
	return cause, owed
}

// unanswered returns since when nothing of what the server owes was acknowledged; zero: it owes nothing.
func (w *window) unanswered() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.waiting
}

// progress restarts the wait for what is still owed, or ends it. mu is held.
func (w *window) progress(now time.Time) (owed int) {
	w.waiting = time.Time{}
	if owed = w.owed(); owed > 0 {
		w.waiting = now
	}
	return owed
}

// firstUnwritten is the publish that the library writes now: it keeps their order.
func (w *window) firstUnwritten() *Ack {
	for _, a := range w.order {
		if !a.written {
			return a
		}
	}
	return nil
}

// wrote is called after a QoS 0 publish went out: that is all the acknowledgement it gets.
func (w *window) wrote() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.order {
		if a.written && a.m.QoS == 0 && !a.acked {
			a.acked, a.m.Payload = true, nil
			break
		}
	}
	w.complete()
}

// owed is what the server must still acknowledge.
func (w *window) owed() int {
	n := len(w.subs)
	for _, a := range w.byID {
		if a.written && !a.acked {
			n++
		}
	}
	return n
}

// answer is called for each PUBACK and SUBACK before the library sees it. known is false for one that answers nothing of
// ours, which the library must not see: it would take it for another. cause is for the ledger, owed what is still owed.
func (w *window) answer(h codec.Header, body []byte, now time.Time) (cause Cause, owed int, known bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	id := codec.PacketID(body)
	if h.Kind == codec.TypeSuback {
		n, ok := w.subs[id]
		if ok && len(body)-2 != n { // [MQTT-3.8.4-5]; the library would panic
			return netdial.CauseHandshake, 0, true, faults.Nonsense("a SUBACK of %d codes for %d filters", len(body)-2, n)
		}
		delete(w.subs, id)
		return netdial.CauseHandshake, w.progress(now), ok, nil
	}
	a := w.byID[id]
	if a == nil || !a.written || a.acked {
		return CauseData, w.owed(), false, nil
	}
	delete(w.byID, id)
	a.acked, a.m.Payload = true, nil
	w.complete()
	return a.m.Cause, w.progress(now), true, nil
}

// came is called with each QoS 1 message that came in, so that our PUBACK is booked under the same cause.
func (w *window) came(id uint16, c Cause) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.in[id] = c
}

// complete closes the acknowledged prefix, and gives its places in the window back. mu is held.
func (w *window) complete() {
	for len(w.order) > 0 && w.order[0].acked {
		a := w.order[0]
		w.order[0] = nil
		w.order = w.order[1:]
		close(a.done)
		if a.places != nil {
			<-a.places
		}
	}
}

// blame is why a session's window failed, for those whose messages were in it.
func blame(v faults.Verdict, why error) error {
	if v.Kind == faults.OutcomeClosed {
		return fmt.Errorf("%w: %w", ErrClosed, why)
	}
	return why
}

// fail ends every publish that waits: the session is lost because of why.
func (w *window) fail(why error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return
	}
	w.err = fmt.Errorf("%w: %w", ErrLost, why)
	for _, a := range w.order {
		a.err = w.err
		close(a.done)
	}
	w.order, w.byID, w.handing = nil, map[uint16]*Ack{}, nil
	close(w.lost)
}

// The library's Store. Keys are "o.<id>" for what we sent and "i.<id>" for what we got.

var _ mqtt.Store = (*window)(nil)

const outKey = "o."

// Open is the library's.
func (w *window) Open() {}

// Put is called by the library before a QoS 1 publish is written.
func (w *window) Put(key string, p packets.ControlPacket) {
	id, ok := outID(key)
	if _, publish := p.(*packets.PublishPacket); !ok || !publish {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.handing != nil {
		w.handing.id = id
		w.byID[id] = w.handing
	}
}

// Get is called by the library only for what All lists.
func (w *window) Get(string) packets.ControlPacket { return nil }

// All is empty, so that the library never sends anything again by itself.
func (w *window) All() []string { return nil }

// Del is called by the library after PUBACK; answer has seen it first.
func (w *window) Del(string) {}

// Close is the library's.
func (w *window) Close() {}

// Reset is the library's.
func (w *window) Reset() {}

func outID(key string) (uint16, bool) {
	n, err := strconv.ParseUint(strings.TrimPrefix(key, outKey), 10, 16)
	return uint16(n), err == nil && strings.HasPrefix(key, outKey)
}
