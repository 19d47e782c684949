package transport

import (
	"context"
	"fmt"
	"math"
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

// Ack is the result of one Send. Each is done when its own PUBACK came: servers acknowledge in the order of Send [MQTT-4.6.0-2],
// but one may never acknowledge this publish and go on with the next. Safe for concurrent use.
type Ack struct {
	done    chan struct{}
	missing atomic.Bool

	// guarded by window.mu until done is closed, then immutable
	m       Message
	err     error
	id      uint16 // packet identifier; 0 until the library gave one, and with QoS 0
	written bool   // the write of it has begun
	acked   bool   // PUBACK came, or QoS 0 was written
	waiting

	slots chan struct{} // in which it takes up one; nil: in none
	slid  bool          // it took up one, until the window slid past it
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

// Missing reports that the server has acknowledged what was sent later, and not this, which may still come. A new session is on
// its way, in which the owner can send it again: it takes up no room in the window any more.
func (a *Ack) Missing() bool { return a.missing.Load() }

// window is everything of one session that waits for an acknowledgement: the publishes in flight, and the library's message
// store. The library puts a QoS 1 publish into its Store before it writes it, which tells its packet identifier; the conn shows
// us the PUBACK before the library gets it. It starts empty: what a lost session did not get across is sent again by its owner,
// never by the library. Safe for concurrent use.
type window struct {
	slots        chan struct{} // one element per publish in flight; what is missing is in flight no more
	orderedSlots chan struct{} // the same for Ordered, which must not wait behind a backlog
	out          chan *Ack     // to the publisher; it has room for all slots, so that a send with a slot never blocks
	failed       chan struct{} // closed by fail
	draining     chan struct{} // closed by stop
	redialing    atomic.Bool   // stop was for a planned re-dial, so another session follows
	settled      chan struct{} // capacity 1: an Ack became done, or missing
	wake         func()        // something is missing: whoever looks after it must set its timer

	mu           sync.Mutex
	unacked      []*Ack // not done, in the order of send
	byID         map[uint16]*Ack
	subs         map[uint16]*request
	inbound      map[uint16]Cause // of messages that came in and that the library has not acknowledged
	offered      *Ack             // the one that the library is given now
	waitingSince time.Time        // the last acknowledgement, or the first write, since something is owed; zero: nothing is
	behind       behind
	err          error
}

// noFilters marks an UNSUBSCRIBE among what waits for its answer, which has no codes.
const noFilters = -1

// orderedWindow is how many publishes of Ordered may be in flight, beside those of the window.
const orderedWindow = 16

// slotless is how many publishes may wait in out without a slot: a question (lateness.ask), and the last one.
const slotless = 2

func newWindow(size int) *window {
	return &window{
		slots: make(chan struct{}, size), orderedSlots: make(chan struct{}, orderedWindow),
		out: make(chan *Ack, size+orderedWindow+slotless), failed: make(chan struct{}), draining: make(chan struct{}),
		settled: make(chan struct{}, 1), wake: func() {},
		behind: behind{most: missingMost}, byID: map[uint16]*Ack{}, subs: map[uint16]*request{}, inbound: map[uint16]Cause{},
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

// queue puts m behind everything else. Without slots it takes up none in the window: see slotless.
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

// stop lets no further send begin, and what is missing is not waited for.
func (w *window) stop() {
	close(w.draining)
	w.mu.Lock()
	w.behind.most = math.MaxInt
	w.slide()
	w.mu.Unlock()
}

// stopped is what a send gets after stop: where another session follows, it may try that one.
func (w *window) stopped() error {
	if w.redialing.Load() {
		return ErrLost
	}
	return ErrStopped
}

// inFlight is the publishes that were sent and are neither done nor missing.
func (w *window) inFlight() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.unacked) - w.behind.passed
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
		w.ask(o.ID, o.Filters, now)
	case codec.TypeUnsubscribe:
		w.ask(o.ID, noFilters, now)
	case codec.TypePuback, codec.TypePubrec:
		cause = w.inbound[o.ID]
		delete(w.inbound, o.ID)
	case codec.TypePublish:
		a := w.byID[o.ID]
		if o.QoS == 0 {
			a = w.firstUnwritten()
		}
		if a != nil {
			a.written, cause = true, a.m.Cause
			if a.m.QoS > 0 {
				w.behind.begun(&a.waiting, now)
			}
		}
	}
	if w.behind.open > 0 && w.waitingSince.IsZero() {
		w.waitingSince = now
	}
	return cause, w.behind.open
}

// unanswered returns since when nothing of what the server owes was acknowledged; zero: it owes nothing but what is missing.
func (w *window) unanswered() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.waitingSince
}

// progressed restarts the wait for what is still owed, or ends it, as x was acknowledged. mu is held.
func (w *window) progressed(x *waiting, now time.Time) (owed int) {
	if w.behind.acked++; x.passed == 0 {
		w.behind.open--
	}
	w.waitingSince = time.Time{}
	if w.behind.open > 0 {
		w.waitingSince = now
	}
	return w.behind.open
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
		if a.written && a.m.QoS == 0 {
			w.complete(a, w.behind.first)
			return
		}
	}
}

// answer is called for each PUBACK, SUBACK and UNSUBACK before the library sees it. known is false for one that answers nothing
// of ours: it must be hidden from the library, which would match it with another packet. cause is for the ledger; owed packets
// are still to be acknowledged.
func (w *window) answer(h codec.Header, body []byte, now time.Time) (cause Cause, owed int, known bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	id := codec.PacketID(body)
	if h.Kind != codec.TypePuback {
		r := w.subs[id]
		if r == nil || (h.Kind == codec.TypeUnsuback) != (r.filters == noFilters) { // else it answers nothing of ours
			return netdial.CauseHandshake, w.behind.open, false, nil
		}
		if n := len(body) - 2; r.filters != noFilters && n != r.filters { // [MQTT-3.8.4-5]; the library would panic
			return netdial.CauseHandshake, 0, true, faults.Nonsense("a SUBACK of %d codes for %d filters", n, r.filters)
		}
		delete(w.subs, id)
		return netdial.CauseHandshake, w.progressed(&r.waiting, now), true, nil
	}
	a := w.byID[id]
	if a == nil || !a.written {
		return CauseData, w.behind.open, false, nil
	}
	delete(w.byID, id)
	w.complete(a, now)
	w.pass(&a.waiting, now)
	return a.m.Cause, w.progressed(&a.waiting, now), true, nil
}

// received is called with each QoS 1 or 2 message that came in, so that our PUBACK or PUBREC is booked under the same cause.
func (w *window) received(id uint16, c Cause) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.inbound[id] = c
}

// complete ends a, which was acknowledged, and frees its slot in the window. mu is held.
func (w *window) complete(a *Ack, now time.Time) {
	i := slices.Index(w.unacked, a)
	w.unacked = slices.Delete(w.unacked, i, i+1)
	a.acked, a.m.Payload = true, nil
	w.behind.served = w.behind.served || a.m.use == useCaller && a.m.QoS > 0
	if a.passed > 0 {
		w.behind.passed--
		w.behind.late = max(w.behind.late, w.behind.at(now)-a.since)
	}
	w.free(a)
	w.end(a, nil)
}

// end closes a, unless it was given up before. mu is held.
func (w *window) end(a *Ack, err error) {
	if a.gone {
		return
	}
	a.gone, a.err = true, err
	close(a.done)
	signal(w.settled)
}

// blame is the error for those whose messages were in the window of a session that ended as v: it wraps ErrClosed where the
// server closed the session, and ErrUnacknowledged where it was alive and acknowledged nothing.
func blame(v faults.Verdict, why error) error {
	switch {
	case v.Kind == faults.OutcomeClosed:
		return fmt.Errorf("%w: %w", ErrClosed, why)
	case v.Loss == faults.LossAck:
		return fmt.Errorf("%w: %w", ErrUnacknowledged, why)
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
		w.end(a, w.err)
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
