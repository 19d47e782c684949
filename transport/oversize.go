package transport

import (
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/linkbeat/linkbeat/transport/faults"
)

// A PUBLISH beyond MaxPacket is read past and acknowledged. Were the session dropped instead, the server would deliver it
// again to the next one, and so for ever: one message too long would keep a gateway offline.

// ackBacklog is how many of our own PUBACKs may wait for a write; then the reader waits too.
const ackBacklog = 64

// skip reads past the PUBLISH with header h, which was peeked and not read.
func (c *conn) skip(h header) error {
	if !c.watch.isAccepted() {
		return faults.Nonsense("a packet of %d bytes, more than the limit of %d, instead of CONNACK", h.total(), c.maxPacket)
	}
	topic, id, n, err := c.readHead(h)
	if err != nil {
		return err
	}
	for left := h.total() - n; left > 0; {
		n, err := c.r.Discard(min(left, readChunk))
		if err != nil {
			return unexpected(err)
		}
		left -= n
		c.watchRead()
		c.watch.progress()
	}
	c.watch.skipped(h, topic)
	if id == 0 {
		return nil
	}
	select {
	case c.acks <- id:
	case <-c.closed:
	}
	return nil
}

// readHead reads the header, the topic, and with QoS 1 the packet identifier (section 3.3.2); n is how many bytes that were.
func (c *conn) readHead(h header) (topic string, id uint16, n int, err error) {
	head := make([]byte, h.size+2)
	if _, err := io.ReadFull(c.r, head); err != nil {
		return "", 0, 0, unexpected(err)
	}
	rest := int(packetID(head[h.size:]))
	qos := h.flags >> 1 & 3
	if qos == 3 || rest == 0 {
		return "", 0, 0, faults.Nonsense("a PUBLISH with QoS %d and a topic of %d bytes", qos, rest)
	}
	if qos > 0 {
		rest += 2
	}
	p := make([]byte, rest)
	if _, err := io.ReadFull(c.r, p); err != nil {
		return "", 0, 0, unexpected(err)
	}
	if qos > 0 {
		id, p = packetID(p[rest-2:]), p[:rest-2]
	}
	if !utf8.Valid(p) || qos > 0 && id == 0 {
		return "", 0, 0, faults.Nonsense("a PUBLISH without a valid topic, or without an identifier")
	}
	return string(p), id, len(head) + rest, nil
}

// skipped is told of a PUBLISH that the library does not see.
func (s *session) skipped(h header, topic string) {
	s.l.dialer.ledger.book(s.l.causeOf(topic), h.total())
	s.listen(h.kind, -1)
	s.l.oversized.Add(1)
	s.l.notify(EventOversized, s.e.name, fmt.Sprintf("a message of %d bytes on %s is larger than the limit of %d: dropped",
		h.total(), topic, s.l.o.MaxPacket), s.info.Number, time.Now())
}
