package transport

import (
	"bytes"
	"time"

	"github.com/linkbeat/linkbeat/transport/codec"
	"github.com/linkbeat/linkbeat/transport/faults"
	"github.com/linkbeat/linkbeat/transport/netdial"
)

const (
	outBacklog  = 16       // packets that wait for the writer
	outSmall    = 4 << 10  // bytes; a larger packet is waited for, so that what waits is bounded
	outCoalesce = 16 << 10 // bytes of one write, about
)

// packetWrite is one packet that is to be written.
type packetWrite struct {
	o     codec.Outbound
	cause Cause
	p     []byte
	gone  chan struct{} // closed when it was written; nil: no one waits
}

// last tells whether nothing may be written after it.
func (m packetWrite) last() bool { return m.o.Kind == codec.TypeDisconnect }

// post gives a packet to the writer. With wait it returns after it was written.
func (c *conn) post(m packetWrite, wait bool) error {
	if wait {
		m.gone = make(chan struct{})
	}
	select {
	case <-c.closed: // a select among ready cases picks any
		return faults.ErrEnded
	default:
	}
	select {
	case c.out <- m:
	case <-c.closed:
		return faults.ErrEnded
	}
	if !wait {
		return nil
	}
	select {
	case <-m.gone:
		return nil
	case <-c.closed:
		return faults.ErrEnded
	}
}

// writer is the only one who writes, until the conn has ended. What waits goes out in one write: a system call and a TCP
// segment for many packets instead of one each. Pings and acknowledgements of ours go between those of the library.
func (c *conn) writer() {
	batch := make([]packetWrite, 0, outBacklog)
	var buf []byte
	for {
		var m packetWrite
		select {
		case <-c.closed:
			return
		case m = <-c.out:
		case <-c.pings:
			m = c.pingWrite()
		case m = <-c.acks:
		}
		batch, buf = append(batch[:0], m), append(buf[:0], m.p...)
		for len(batch) < cap(batch) && len(buf) < outCoalesce && !m.last() && c.waiting(&m) {
			batch, buf = append(batch, m), append(buf, m.p...)
		}
		if err := c.write(batch, buf); err != nil {
			_ = c.failWrite(err)
			return
		}
		if batch[len(batch)-1].last() {
			c.halfClose()
			close(batch[len(batch)-1].gone)
			return
		}
		clear(batch)
		if cap(buf) > keepCapacity {
			buf = nil
		}
	}
}

// waiting takes what else waits; false: nothing does.
func (c *conn) waiting(m *packetWrite) bool {
	select {
	case *m = <-c.out:
	case <-c.pings:
		*m = c.pingWrite()
	case *m = <-c.acks:
	default:
		return false
	}
	return true
}

// write writes a batch, whose bytes are p. The deadline ends a write into a full send buffer, which nothing else does
// (paho.mqtt.golang#723).
func (c *conn) write(batch []packetWrite, p []byte) error {
	_ = c.stream.SetWriteDeadline(time.Now().Add(c.patience))
	n, err := c.stream.Write(p)
	_ = c.stream.SetWriteDeadline(time.Time{}) // or it would still be running when the next one is set
	for _, m := range batch {
		took := min(n, len(m.p))
		n -= took
		if took == len(m.p) {
			c.watch.wrote(m.o, m.cause, took, nil)
		} else {
			c.watch.wrote(m.o, m.cause, took, err)
		}
		if m.gone != nil && err == nil && !m.last() {
			close(m.gone)
		}
	}
	return err
}

// pingWrite counts the ping before it goes out: its answer may be read before Write returns.
func (c *conn) pingWrite() packetWrite {
	c.pinged.Add(1)
	return packetWrite{o: codec.Outbound{Kind: codec.TypePingreq}, cause: netdial.CausePing, p: []byte{codec.TypePingreq << 4, 0}}
}

// acknowledge has written, without the library, what acknowledges a packet that it never saw. It waits behind ackBacklog others.
func (c *conn) acknowledge(kind byte, id uint16, cause Cause) {
	o, p := codec.Acknowledge(kind, id)
	select {
	case c.acks <- packetWrite{o: o, cause: cause, p: p}:
	case <-c.closed:
	}
}

// Write takes one packet of the library.
func (c *conn) Write(p []byte) (int, error) {
	o, err := codec.ParseOutbound(p)
	if err != nil {
		return 0, c.fail(err)
	}
	packet := bytes.Clone(p)
	if c.first.CompareAndSwap(false, true) {
		if packet, err = codec.PatchKeepalive(p, c.keepalive); err != nil {
			return 0, c.fail(err)
		}
	}
	if err := c.post(packetWrite{o: o, cause: c.watch.writing(o), p: packet}, len(p) > outSmall); err != nil {
		return 0, err
	}
	return len(p), nil
}
