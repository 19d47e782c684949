package transport

import (
	"context"
	"fmt"
	"slices"
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

// Ack is the result of one Send. Acks of a link complete in the order of Send: a done Ack without error means that all before it
// were acknowledged too. Safe for concurrent use.
type Ack struct {
	done chan struct{}

	// guarded by window.mu until done is closed, then immutable
	m       Message
	err     error
	id      uint16 // packet identifier; 0 until the library gave one, and with QoS 0
	written bool   // the write of it has begun
	acked   bool   // PUBACK came, or QoS 0 was written; but an earlier one may still be open

	slots chan struct{} // in which it takes up one; nil: in none
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

// window is everything of one session that waits for an acknowledgement: the publishes in flight, and the library's message
// store. The library puts a QoS 1 publish into its Store before it writes it, which tells its packet identifier; the conn shows
// us the PUBACK before the library gets it. It starts empty: what a lost session did not get across is sent again by its owner,
// never by the library. Safe for concurrent use.
type window struct {
	slots        chan struct{} // one element per publish in flight
	orderedSlots chan struct{} // the same for Ordered, which must not wait behind a backlog
	out          chan *Ack     // to the publisher; it has room for all slots, so that a send with a slot never blocks
	failed       chan struct{} // closed by fail
	draining     chan struct{} // closed by stop
	redialing    atomic.Bool   // stop was for a planned re-dial, so another session follows

	mu           sync.Mutex
	unacked      []*Ack // not done, in the order of send
	byID         map[uint16]*Ack
	subs         map[uint16]int   // filters of an unanswered SUBSCRIBE; noFilters: an UNSUBSCRIBE
	inbound      map[uint16]Cause // of messages that came in and that the library has not acknowledged
	offered      *Ack             // the one that the library is given now
	waitingSince time.Time        // the last acknowledgement, or the first write, since something is owed; zero: nothing is
	err          error
}

// noFilters marks an UNSUBSCRIBE among what waits for its answer, which has no codes.
const noFilters = -1

// orderedWindow is how many publishes of Ordered may be in flight, beside those of the window.
const orderedWindow = 16

func newWindow(size int) *window {
	return &window{
		slots: make(chan struct{}, size), orderedSlots: make(chan struct{}, orderedWindow),
		out: make(chan *Ack, size+orderedWindow+1), failed: make(chan struct{}), draining: make(chan struct{}),
		byID: map[uint16]*Ack{}, subs: map[uint16]int{}, inbound: map[uint16]Cause{},
	}
}

// send waits for a slot in the window and queues m. ErrLost when the session ends before, ErrStopped after stop.
func (w *window) send(ctx context.Context, m Message) (*Ack, error) { return w.sendIn(ctx, w.slots, m) }

// sendIn is send with other slots than those of the window.
func (w *window) sendIn(ctx context.Context, slots chan struct{}, m Message) (*Ack, error) {
	select {
	case <-w.draining:
		return nil, w.stopped()
	default:
	}
	select {
	case slots <- struct{}{}:
	case <-w.failed:
		return nil, ErrLost
	case <-w.draining:
		return nil, w.stopped()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return w.queue(m, slots)
}

// last queues m behind everything else, without a slot in the window. It is called once, after stop.
func (w *window) last(m Message) (*Ack, error) { return w.queue(m, nil) }

func (w *window) queue(m Message, slots chan struct{}) (*Ack, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return nil, ErrLost
	}
	a := &Ack{m: m, done: make(chan struct{}), slots: slots}
	w.unacked = append(w.unacked, a)
	w.out <- a
	return a, nil
}

// stop lets no further send begin.
func (w *window) stop() { close(w.draining) }

// stopped is what a send gets after stop: where another session follows, it may try that one.
func (w *window) stopped() error {
	if w.redialing.Load() {
		return ErrLost
	}
	return ErrStopped
}

// inFlight is the publishes that were sent and are not done.
func (w *window) inFlight() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.unacked)
}

// retaining reports that a retained message waits for its PUBACK.
func (w *window) retaining() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.unacked, func(a *Ack) bool { return a.m.Retain && a.written && !a.acked })
}

// drained waits, after stop, until nothing is in flight.
func (w *window) drained(ctx context.Context) {
	for _, slots := range []chan struct{}{w.slots, w.orderedSlots} {
		for range cap(slots) {
			select {
			case slots <- struct{}{}:
			case <-w.failed:
				return
			case <-ctx.Done():
				return
			}
		}
	}
}

// offer notes that the library is given a next, so that Put knows whose identifier it is told. False: the library has it already,
// or it is done.
func (w *window) offer(a *Ack) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if a.written || w.err != nil {
		return false
	}
	delete(w.byID, a.id)
	a.id = 0
	w.offered = a
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
	case codec.TypeUnsubscribe:
		w.subs[o.ID] = noFilters
	case codec.TypePuback:
		cause = w.inbound[o.ID]
		delete(w.inbound, o.ID)
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
	if owed > 0 && w.waitingSince.IsZero() {
		w.waitingSince = now
	}
	return cause, owed
}

// unanswered returns since when nothing of what the server owes was acknowledged; zero: it owes nothing.
func (w *window) unanswered() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.waitingSince
}

// progress restarts the wait for what is still owed, or ends it. mu is held.
func (w *window) progress(now time.Time) (owed int) {
	w.waitingSince = time.Time{}
	if owed = w.owed(); owed > 0 {
		w.waitingSince = now
	}
	return owed
}

// firstUnwritten is the publish that the library writes now: it keeps their order.
func (w *window) firstUnwritten() *Ack {
	for _, a := range w.unacked {
		if !a.written {
			return a
		}
	}
	return nil
}

// wrote is called after a QoS 0 publish went out, which counts as its acknowledgement: the server sends none.
func (w *window) wrote() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.unacked {
		if a.written && a.m.QoS == 0 && !a.acked {
			a.acked, a.m.Payload = true, nil
			break
		}
	}
	w.complete()
}

// owed is how many packets the server must still acknowledge.
func (w *window) owed() int {
	n := len(w.subs)
	for _, a := range w.byID {
		if a.written && !a.acked {
			n++
		}
	}
	return n
}

// answer is called for each PUBACK, SUBACK and UNSUBACK before the library sees it. known is false for one that answers nothing
// of ours: it must be hidden from the library, which would match it with another packet. cause is for the ledger; owed packets
// are still to be acknowledged.
func (w *window) answer(h codec.Header, body []byte, now time.Time) (cause Cause, owed int, known bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	id := codec.PacketID(body)
	if h.Kind == codec.TypeUnsuback {
		n, ok := w.subs[id]
		if ok = ok && n == noFilters; ok { // else it answers nothing of ours
			delete(w.subs, id)
		}
		return netdial.CauseHandshake, w.progress(now), ok, nil
	}
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

// received is called with each QoS 1 message that came in, so that our PUBACK is booked under the same cause.
func (w *window) received(id uint16, c Cause) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.inbound[id] = c
}

// complete closes the acknowledged prefix, and frees its slots in the window. mu is held.
func (w *window) complete() {
	for len(w.unacked) > 0 && w.unacked[0].acked {
		a := w.unacked[0]
		w.unacked[0] = nil
		w.unacked = w.unacked[1:]
		close(a.done)
		if a.slots != nil {
			<-a.slots
		}
	}
}

// blame is the error for those whose messages were in the window of a session that ended as v: it wraps ErrClosed where the
// server closed the session.
func blame(v faults.Verdict, why error) error {
	if v.Kind == faults.OutcomeClosed {
		return fmt.Errorf("%w: %w", ErrClosed, why)
	}
	return why
}

// fail ends every publish that waits with ErrLost, because of why.
func (w *window) fail(why error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return
	}
	w.err = fmt.Errorf("%w: %w", ErrLost, why)
	for _, a := range w.unacked {
		a.err = w.err
		close(a.done)
	}
	w.unacked, w.byID, w.offered = nil, map[uint16]*Ack{}, nil
	close(w.failed)
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
	if w.offered != nil {
		w.offered.id = id
		w.byID[id] = w.offered
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
