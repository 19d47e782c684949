package transport

import (
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/linkbeat/linkbeat/transport/codec"
	"github.com/linkbeat/linkbeat/transport/faults"
)

// A PUBLISH beyond MaxPacket is read past and acknowledged. Were the session dropped instead, the server would deliver it again
// to the next session, and to each one after it: one message too long would keep a gateway offline.

// ackBacklog is how many of our own acknowledgements may wait for a write; then the reader waits too.
const ackBacklog = 64

// skip reads past the PUBLISH with header h, which was peeked and not read.
func (c *conn) skip(h codec.Header) error {
	topic, id, n, err := c.readHead(h)
	if err != nil {
		return err
	}
	for left := h.Total() - n; left > 0; {
		n, err := c.r.Discard(min(left, codec.ReadChunk))
		if err != nil {
			return codec.UnexpectedEOF(err)
		}
		left -= n
		c.watchRead()
		c.watch.progress()
	}
	c.watch.skipped(h, topic, id)
	switch h.Flags >> 1 & 3 { // QoS
	case 1:
		c.acknowledge(codec.TypePuback, id, CauseRefused)
	case 2: // whose PUBREL follows
		c.acknowledge(codec.TypePubrec, id, CauseRefused)
	}
	return nil
}

// readHead reads the header, the topic, and with QoS 1 or 2 the packet identifier (section 3.3.2); n is how many bytes that were.
func (c *conn) readHead(h codec.Header) (topic string, id uint16, n int, err error) {
	head := make([]byte, h.Size+2)
	if _, err := io.ReadFull(c.r, head); err != nil {
		return "", 0, 0, codec.UnexpectedEOF(err)
	}
	rest := int(codec.PacketID(head[h.Size:]))
	qos := h.Flags >> 1 & 3
	if qos == 3 || rest == 0 {
		return "", 0, 0, faults.Nonsense("a PUBLISH with QoS %d and a topic of %d bytes", qos, rest)
	}
	if qos > 0 {
		rest += 2
	}
	p := make([]byte, rest)
	if _, err := io.ReadFull(c.r, p); err != nil {
		return "", 0, 0, codec.UnexpectedEOF(err)
	}
	if qos > 0 {
		id, p = codec.PacketID(p[rest-2:]), p[:rest-2]
	}
	if !utf8.Valid(p) || qos > 0 && id == 0 {
		return "", 0, 0, faults.Nonsense("a PUBLISH without a valid topic, or without an identifier")
	}
	return string(p), id, len(head) + rest, nil
}

// skipped is called after a PUBLISH was read past; the library does not see it.
func (s *session) skipped(h codec.Header, topic string, id uint16) {
	if h.Flags>>1&3 == 2 {
		s.resumed.Published(id)
	}
	s.l.dialer.Counter.Book(CauseRefused, h.Total())
	s.listen(h.Kind, -1)
	s.l.health.oversized.Add(1)
	why := fmt.Sprintf("a message of %d bytes on %.128s is larger than the limit of %d: dropped",
		h.Total(), topic, s.l.o.MaxPacket)
	s.l.health.notify(EventOversized, s.e.Name, why, s.info.Number, time.Now())
}
