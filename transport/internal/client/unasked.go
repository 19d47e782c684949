package client

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/linkbeat/linkbeat/transport/codec"
	"github.com/linkbeat/linkbeat/transport/faults"
)

// What a server may send that answers nothing. None of it is of use, and each packet costs; a server of the standard sends none,
// but one that is only odd must not be left: so many at once, and then one in a while.
const (
	unaskedMost  = 32
	unaskedEvery = 30 * time.Minute
)

// Unasked counts the acknowledgements of one session that answer nothing of ours. Pure: now comes in. The zero value is ready.
type Unasked struct {
	used int
	at   time.Time // of used
}

// Note is called with each of them. Its error is that of a server which speaks MQTT wrongly: there were too many.
func (u *Unasked) Note(kind byte, now time.Time) error {
	if u.at.IsZero() {
		u.at = now
	}
	for ; u.used > 0 && now.Sub(u.at) >= unaskedEvery; u.used-- {
		u.at = u.at.Add(unaskedEvery)
	}
	if u.used == 0 {
		u.at = now
	}
	if u.used++; u.used <= unaskedMost {
		return nil
	}
	return faults.Nonsense("it keeps acknowledging what nobody sent, last with %s", codec.Unasked(kind))
}

// ErrForeign says that a session was ended because others publish to what it hears: it says nothing about the path.
var ErrForeign = errors.New("others publish to the topic of this session")

// Foreign bounds the PUBLISH packets of a session that it does not expect. The first that is retained is not counted: one comes
// with each subscription, whoever sent it when. The zero value is the default.
type Foreign struct {
	Messages int           // if zero, 256
	Bytes    int           // of whole packets; if zero, 1 MiB
	Within   time.Duration // from the first of them on; if zero, as long as the session lives
}

func (f Foreign) withDefaults() Foreign {
	if f.Messages <= 0 {
		f.Messages = 256
	}
	if f.Bytes <= 0 {
		f.Bytes = 1 << 20
	}
	return f
}

// owed is what a session has asked for and was not answered. Safe for concurrent use: it is written down before the packet goes
// out, as the answer may be read before Write returns.
type owed struct {
	mu       sync.Mutex
	pings    int
	answers  map[uint16]byte // kinds, by packet identifier
	expected [][]byte        // the payloads that are waited for
}

// sent is called with each packet of ours.
func (w *owed) sent(p []byte) {
	o, err := codec.ParseOutbound(p)
	if err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case o.Kind == codec.TypePingreq:
		w.pings++
	case o.Kind == codec.TypeSubscribe, o.Kind == codec.TypePublish && o.QoS > 0:
		if w.answers == nil {
			w.answers = map[uint16]byte{}
		}
		w.answers[o.ID] = o.Kind + 1 // PUBACK follows PUBLISH in table 2.1, SUBACK follows SUBSCRIBE
	}
}

// answered reports whether p is what we wait for; each only once.
func (w *owed) answered(p Packet) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch p.Kind {
	case codec.TypePingresp:
		w.pings--
		if w.pings >= 0 {
			return true
		}
		w.pings = 0
	case codec.TypePuback, codec.TypeSuback:
		if id := codec.PacketID(p.Body); w.answers[id] == p.Kind {
			delete(w.answers, id)
			return true
		}
	case codec.TypePublish:
		for i, e := range w.expected {
			if bytes.Equal(p.Body, e) {
				w.expected = slices.Delete(w.expected, i, i+1)
				return true
			}
		}
	}
	return false
}

// expect says which payloads are waited for.
func (w *owed) expect(payloads [][]byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.expected = slices.Clone(payloads)
}

// inbound judges what comes in; of the reader.
type inbound struct {
	unasked         Unasked
	since           time.Time // of the counts
	messages, bytes int       // that were not expected
	retained        bool      // one came
}

// judge books p when nobody asked for it. Its error ends the session.
func (c *Client) judge(p *Packet, now time.Time) error {
	if c.owed.answered(*p) {
		return nil
	}
	p.Foreign = true
	if p.Kind == codec.TypePublish && c.o.Own != nil && c.o.Own(p.Body) {
		return nil
	}
	p.Retained = p.Retained && !c.in.retained
	c.in.retained = c.in.retained || p.Retained
	if c.o.Refused != nil {
		c.o.Refused(*p)
	}
	if p.Kind != codec.TypePublish {
		return c.in.unasked.Note(p.Kind, now)
	}
	if p.Retained {
		return nil
	}
	if within := c.o.Foreign.Within; c.in.since.IsZero() || within > 0 && now.Sub(c.in.since) >= within {
		c.in.since, c.in.messages, c.in.bytes = now, 0, 0
	}
	c.in.messages, c.in.bytes = c.in.messages+1, c.in.bytes+p.Size
	if c.in.messages > c.o.Foreign.Messages || c.in.bytes > c.o.Foreign.Bytes {
		return ErrForeign
	}
	return nil
}

// oversized is the error after the beginning of a PUBLISH beyond the limit, which is not read any further.
func (c *Client) oversized(h codec.Header, buffered int) error {
	if c.o.Refused != nil {
		c.o.Refused(Packet{Kind: h.Kind, Size: h.Total(), Read: buffered, Foreign: true,
			Retained: isRetained(h) && !c.in.retained})
	}
	return errors.Join(ErrForeign, codec.ErrOversized)
}
