package transport

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/linkbeat/linkbeat/transport/codec"
	"github.com/linkbeat/linkbeat/transport/faults"
	"github.com/linkbeat/linkbeat/transport/netdial"
)

const (
	readBuffer   = 4 << 10  // of bufio; the library itself reads single bytes
	keepCapacity = 64 << 10 // a packet buffer larger than this is not kept for the next packet
	pingBacklog  = 64       // pings that wait for a stuck write; the beat doubles its patience, so few ever do
)

// observer sees what passes through a conn. An error of arrived ends the conn; known false hides the packet from the library.
type observer interface {
	writing(o codec.Outbound) Cause                    // before a packet goes out; not for our own pings
	wrote(o codec.Outbound, c Cause, n int, err error) // after n bytes of it did
	// a whole packet came in, which is booked under cause, and so is its answer; buffered bytes wait behind it
	arrived(h codec.Header, body []byte, buffered int) (known bool, cause Cause, err error)
	isAccepted() bool                                // CONNACK came
	skipped(h codec.Header, topic string, id uint16) // a PUBLISH beyond the limit came in and was read past
	progress()                                       // a part of a long packet came in
	ended(err error)                                 // once, at the first error of reading or writing, or at Close
}

// conn is the net.Conn that the library is given. It sits above TLS or WebSocket and sees whole packets: every Write of the
// library is exactly one, and reading hands out only packets that were read and checked as a whole. So it can put a PINGREQ
// between two packets, patch the keepalive into CONNECT, and refuse nonsense before the library allocates or falls over it.
//
// One reader and any number of writers at a time. Deadlines are its own: those that the library sets are ignored.
type conn struct {
	stream       *netdial.Stream
	watch        observer
	maxPacket    int
	keepalive    uint16               // seconds, for CONNECT
	patience     time.Duration        // of each write
	readPatience func() time.Duration // longest that a healthy session stays silent: the read watchdog

	out    chan packetWrite // packets of the library, to the writer
	pings  chan struct{}    // pings to write
	acks   chan packetWrite // of what the library never sees
	closed chan struct{}
	once   sync.Once
	first  atomic.Bool // the CONNECT was written
	pinged atomic.Int64

	// of the reader
	r      *bufio.Reader
	packet []byte // the last packet
	ponged int64  // PINGRESPs that answered one of pinged
	rest   []byte // what of it the library has not read
}

func newConn(s *netdial.Stream, watch observer, o Options, keepalive time.Duration, silence func() time.Duration) *conn {
	return &conn{
		stream: s, watch: watch, maxPacket: o.MaxPacket, keepalive: uint16(keepalive / time.Second),
		patience: o.DetectWithin, readPatience: silence,
		out: make(chan packetWrite, outBacklog), pings: make(chan struct{}, pingBacklog),
		acks: make(chan packetWrite, ackBacklog), closed: make(chan struct{}),
		r: bufio.NewReaderSize(s, readBuffer),
	}
}

// Read hands out checked packets.
func (c *conn) Read(p []byte) (int, error) {
	for len(c.rest) == 0 {
		if err := c.fill(); err != nil {
			return 0, c.fail(err)
		}
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// fill reads the next packet that the library may see.
func (c *conn) fill() error {
	if cap(c.packet) > keepCapacity {
		c.packet = nil
	}
	c.watchRead()
	packet, h, err := c.next()
	c.packet = packet
	if errors.Is(err, codec.ErrOversized) {
		return c.skip(h)
	}
	if err != nil {
		return err
	}
	known, cause, err := c.watch.arrived(h, packet[h.Size:], c.r.Buffered())
	switch {
	case err != nil:
	case known:
		c.rest = packet
	case h.Kind == codec.TypePubrec || h.Kind == codec.TypePubrel:
		c.acknowledge(h.Kind+1, codec.PacketID(packet[h.Size:]), cause) // PUBCOMP follows PUBREL, and that PUBREC, in table 2.1
	}
	return err
}

// next reads the next packet; of a server that has not accepted us yet, nothing but a CONNACK.
func (c *conn) next() ([]byte, codec.Header, error) {
	if !c.watch.isAccepted() {
		return codec.ReadConnack(c.r, c.packet, false)
	}
	return codec.ReadPacket(c.r, c.maxPacket, c.packet, func() { c.watchRead(); c.watch.progress() })
}

// watchRead arms the read watchdog: should even the session's loop be stuck, a dead conn ends by itself.
func (c *conn) watchRead() {
	if d := c.readPatience(); d > 0 {
		_ = c.stream.SetReadDeadline(time.Now().Add(d))
	}
}

// ping asks for a PINGREQ between two packets. It never blocks.
func (c *conn) ping() {
	select {
	case c.pings <- struct{}{}:
	default:
	}
}

// failWrite is fail for an error of writing. After a reset it waits for a moment: what the server said before it hung up, an
// alert of TLS perhaps, is still to be read, and is the better reason.
func (c *conn) failWrite(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = &faults.Fault{Kind: faults.OutcomeSilence, Loss: faults.LossWrite,
			Msg: fmt.Sprintf("a write was stuck for %v", c.patience), Err: err}
	}
	if faults.IsReset(err) {
		select {
		case <-c.closed:
		case <-time.After(netdial.LastWords):
		}
	}
	return c.fail(err)
}

// goodbye writes a DISCONNECT behind what waits, and closes our half only. Were both halves closed at once, our kernel would
// answer what the server just sends with an RST, and that may overtake the DISCONNECT: the server would then publish the will.
func (c *conn) goodbye() {
	o := codec.Outbound{Kind: codec.TypeDisconnect}
	m := packetWrite{o: o, cause: netdial.CauseHandshake, p: []byte{codec.TypeDisconnect << 4, 0}}
	_ = c.post(m, true) // it fails when the conn has ended, and then no one would read it
}

// pongAsked is called by the reader with each PINGRESP: false when there was no PINGREQ for it. One that is late was asked for.
func (c *conn) pongAsked() bool {
	if c.ponged >= c.pinged.Load() {
		return false
	}
	c.ponged++
	return true
}

// halfClose is the writer's last act.
func (c *conn) halfClose() {
	_ = c.stream.SetWriteDeadline(time.Now().Add(netdial.LastWords))
	for _, half := range []any{c.stream.Conn, c.stream.Raw.Conn} {
		if h, ok := half.(interface{ CloseWrite() error }); ok {
			_ = h.CloseWrite()
		}
	}
}

// fail ends the conn at once and returns faults.ErrEnded. Closing the socket below TLS and WebSocket never blocks, as their own
// closing would.
func (c *conn) fail(err error) error {
	c.once.Do(func() {
		c.watch.ended(err)
		close(c.closed)
		_ = c.stream.Raw.Close()
	})
	return faults.ErrEnded
}

// Close ends the conn; it is the library's way of fail.
func (c *conn) Close() error {
	_ = c.fail(faults.ErrEnded)
	return nil
}

// LocalAddr is that of the socket.
func (c *conn) LocalAddr() net.Addr { return c.stream.LocalAddr() }

// RemoteAddr is that of the socket.
func (c *conn) RemoteAddr() net.Addr { return c.stream.RemoteAddr() }

// SetDeadline does nothing: deadlines are ours.
func (c *conn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing: deadlines are ours.
func (c *conn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing: deadlines are ours.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }
