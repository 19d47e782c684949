package client

import "github.com/linkbeat/linkbeat/transport/codec"

// Resumed is what one session knows of deliveries with QoS 2, whose second half a server must ask for again after a reconnect,
// until it is answered [MQTT-4.4.0-1]: a PUBREL of this session may end a message of an earlier one, or of other software that
// had our client id. So each is answered [MQTT-4.3.3-2], and for each packet identifier one is expected without its PUBLISH: a
// server of the standard has no more of them. Servers that repeat within a session, as MQTT 3.1 allowed, may do the same with
// PUBREC. The zero value is ready.
type Resumed struct {
	published identifiers // in this session, and not yet released
	released  identifiers // without a PUBLISH in this session
	received  identifiers // PUBRECs, of a PUBLISH that was none of this session's
	completed identifiers
}

// Published is called with each PUBLISH of QoS 2 that came in.
func (r *Resumed) Published(id uint16) { r.published.set(id, true) }

// May is called with each PUBREL, PUBREC and PUBCOMP that came in. earlier: it belongs to a delivery that began before this
// session. asked false: nothing is left that it could belong to.
func (r *Resumed) May(kind byte, id uint16) (asked, earlier bool) {
	switch kind {
	case codec.TypePubrel:
		if r.published.set(id, false) {
			return true, false
		}
		return !r.released.set(id, true), true
	case codec.TypePubrec:
		return !r.received.set(id, true), true
	case codec.TypePubcomp:
		return r.received.has(id) && !r.completed.set(id, true), true
	}
	return false, false
}

// identifiers are a set of packet identifiers. It takes its 8 KiB when the first is put in.
type identifiers struct{ bits *[1 << 16 / 8]byte }

func (s *identifiers) has(id uint16) bool { return s.bits != nil && s.bits[id/8]>>(id%8)&1 == 1 }

// set puts id in, or takes it out, and reports whether it was in.
func (s *identifiers) set(id uint16, in bool) (was bool) {
	was = s.has(id)
	switch {
	case was == in:
	case in && s.bits == nil:
		s.bits = new([1 << 16 / 8]byte)
		fallthrough
	default:
		s.bits[id/8] ^= 1 << (id % 8)
	}
	return was
}
