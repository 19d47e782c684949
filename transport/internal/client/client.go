// Package client is the one MQTT client for short sessions of our own, beside the main link: it asks, and the server answers.
// What tries a server for a person, the probe sessions of the search, and the check of a link that is late are written with it. A
// connection and packets come in; packets, codes and faults go out. It dials nothing, and decides nothing.
package client

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/linkbeat/linkbeat/transport/codec"
	"github.com/linkbeat/linkbeat/transport/faults"
	"github.com/linkbeat/linkbeat/transport/netdial"
)

const (
	backlog   = 8       // packets that came and were not taken; the reader waits then
	readAhead = 4 << 10 // bytes, at most
)

// Options of New.
type Options struct {
	Limit  int       // bytes of a packet that comes in; a larger one ends the session
	Socket io.Closer // closed at the end, without a goodbye of TLS or WebSocket; if nil, the connection itself is

	// Foreign bounds what of PUBLISH comes that is not expected: then the session ends with ErrForeign.
	Foreign Foreign
	// Refused is called by the reader, which it must not hold up for long, with each packet that nobody asked for; nil: nobody
	// counts them.
	Refused func(p Packet)
	// Own is called by the reader with the payload of each PUBLISH that is not expected, and reports that it is one of ours all
	// the same, which came twice or late: it is handed out as foreign, and neither refused nor counted. nil: none is.
	Own func(payload []byte) bool

	// MQTT5 speaks MQTT 5 instead of 3.1.1. Its answers are checked no further than they are read.
	MQTT5 bool
}

// Client is one session over one connection. Its own goroutine reads, because a read that ended at a deadline is the end of a
// WebSocket. Methods that wait for an answer are for one goroutine at a time, as each takes what comes meanwhile; Send, Publish
// and Disconnect are safe for concurrent use. Whoever makes a Client calls Close once.
type Client struct {
	conn    net.Conn
	o       Options
	packets chan Packet   // from the reader; closed at its end
	done    chan struct{} // closed by Close
	err     error         // why the reader ended; set before packets is closed

	owed owed
	in   inbound

	mu sync.Mutex // of a write: packets do not mix
	id uint16     // the packet identifier that was used last
}

// Packet is one packet of the server.
type Packet struct {
	Kind  byte   // codec.TypeConnack …
	Topic string // of a PUBLISH
	Body  []byte // the payload of a PUBLISH; of others, all behind the fixed header

	Size     int  // of the whole packet, in bytes
	Read     int  // how much of it was read, in bytes: less than Size of what is beyond the limit, which ends the session
	Foreign  bool // nobody asked for it: another PUBLISH than Expect has named, or an answer to nothing of ours
	Retained bool // the first PUBLISH that the server had kept for whoever subscribes: its sender may be gone
}

// New takes over conn and begins to read.
func New(conn net.Conn, o Options) *Client {
	if o.Socket == nil {
		o.Socket = conn
	}
	o.Foreign = o.Foreign.withDefaults()
	c := &Client{conn: conn, o: o, packets: make(chan Packet, backlog), done: make(chan struct{})}
	go c.read()
	return c
}

// Packets hands out what comes in. It is closed at the end of the session, and then Err says why.
func (c *Client) Packets() <-chan Packet { return c.packets }

// Err is why the session ended, once Packets is closed.
func (c *Client) Err() error { return c.err }

// Expect names the payloads that are waited for from now on, each once: any other PUBLISH is foreign.
func (c *Client) Expect(payloads ...[]byte) { c.owed.expect(payloads) }

// read hands out packets until the connection ends.
func (c *Client) read() {
	defer close(c.packets)
	r := bufio.NewReaderSize(c.conn, min(readAhead, c.o.Limit/16))
	next := codec.ReadPacket
	if c.o.MQTT5 {
		next = codec.ReadPacket5
	}
	var buf []byte
	for known := false; ; known = true {
		var h codec.Header
		if known {
			buf, h, c.err = next(r, c.o.Limit, buf, func() {})
		} else {
			buf, h, c.err = codec.ReadConnack(r, buf, c.o.MQTT5)
		}
		if errors.Is(c.err, codec.ErrOversized) {
			c.err = c.oversized(h, r.Buffered())
		}
		if c.err != nil {
			return
		}
		p := packetOf(h, buf, c.o.MQTT5)
		if known {
			c.err = c.judge(&p, time.Now())
		}
		if c.err != nil {
			return
		}
		p.Body = bytes.Clone(p.Body)
		select {
		case c.packets <- p:
		case <-c.done:
			c.err = faults.ErrEnded
			return
		}
	}
}

// packetOf is the packet in buf, whose bytes it shares.
func packetOf(h codec.Header, buf []byte, mqtt5 bool) Packet {
	p := Packet{Kind: h.Kind, Body: buf[h.Size:], Size: h.Total(), Read: h.Total(), Retained: isRetained(h)}
	if h.Kind == codec.TypePublish {
		topic, rest, _ := codec.CutString(p.Body)
		if h.Flags>>1&3 > 0 && len(rest) >= 2 {
			rest = rest[2:] // the packet identifier, of a server that gives more than was asked for
		}
		if mqtt5 {
			rest, _ = codec.PastProperties(rest)
		}
		p.Topic, p.Body = string(topic), rest
	}
	return p
}

func isRetained(h codec.Header) bool { return h.Kind == codec.TypePublish && h.Flags&1 == 1 } // [MQTT-3.3.1-8]

// Connect sends CONNECT and returns the code of CONNACK, 0 when the server accepts. What is not a CONNACK is nonsense: the server
// may send nothing before it [MQTT-3.2.0-1]. patience is for the write and the answer together, as everywhere.
func (c *Client) Connect(ctx context.Context, hello *packets.ConnectPacket, patience time.Duration) (code byte, err error) {
	var packet encoder = hello
	if c.o.MQTT5 {
		packet = codec.Connect5(hello)
	}
	p, err := c.ask(ctx, packet, 0, patience)
	switch {
	case err != nil:
		return 0, err
	case p.Kind != codec.TypeConnack || len(p.Body) < 2:
		return 0, faults.Nonsense("a packet of type %d instead of CONNACK", p.Kind)
	}
	return p.Body[1], nil
}

// Subscribe sends one SUBSCRIBE, for QoS 0, so that nothing has to be acknowledged, and returns the codes of SUBACK: one for each
// filter, codec.SubackFailure or more for one that is refused.
func (c *Client) Subscribe(ctx context.Context, filters []string, patience time.Duration) (codes []byte, err error) {
	var packet encoder
	if id := c.nextID(); c.o.MQTT5 {
		packet = codec.Subscribe5(id, filters)
	} else {
		s := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
		s.MessageID, s.Topics, s.Qoss = id, filters, make([]byte, len(filters))
		packet = s
	}
	p, err := c.ask(ctx, packet, codec.TypeSuback, patience)
	if err != nil {
		return nil, err
	}
	if codes = p.Body[min(2, len(p.Body)):]; c.o.MQTT5 {
		codes, _ = codec.PastProperties(codes)
	}
	if len(codes) != len(filters) {
		return nil, faults.Nonsense("a SUBACK with %d codes for %d filters", len(codes), len(filters))
	}
	return codes, nil
}

// Ping sends PINGREQ and waits for PINGRESP.
func (c *Client) Ping(ctx context.Context, patience time.Duration) error {
	_, err := c.ask(ctx, Pingreq(), codec.TypePingresp, patience)
	return err
}

// Pingreq is for Send.
func Pingreq() packets.ControlPacket { return packets.NewControlPacket(packets.Pingreq) }

// Publish sends a PUBLISH that is not retained, and waits for no answer. The packet identifier is 0 for QoS 0.
func (c *Client) Publish(topic string, payload []byte, qos byte, patience time.Duration) (id uint16, err error) {
	if qos > 0 {
		id = c.nextID()
	}
	if c.o.MQTT5 {
		return id, c.send(codec.Publish5(topic, id, qos, payload), time.Now().Add(patience))
	}
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.TopicName, p.Payload, p.Qos, p.MessageID = topic, payload, qos, id
	return id, c.send(p, time.Now().Add(patience))
}

// Disconnect says DISCONNECT, so that the server keeps nothing and publishes no will.
func (c *Client) Disconnect() error {
	return c.Send(packets.NewControlPacket(packets.Disconnect), netdial.LastWords)
}

// Close ends the connection, and waits for the reader.
func (c *Client) Close() {
	close(c.done)
	_ = c.o.Socket.Close()
	for range c.packets { // up to its end
	}
}

func (c *Client) nextID() uint16 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.id++
	return c.id
}

// encoder is a packet that can be written.
type encoder interface{ Write(w io.Writer) error }

// Send writes p.
func (c *Client) Send(p packets.ControlPacket, patience time.Duration) error {
	return c.send(p, time.Now().Add(patience))
}

// send writes p with one Write, as a WebSocket makes a message of each.
func (c *Client) send(p encoder, deadline time.Time) error {
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.owed.sent(b.Bytes())
	_ = c.conn.SetWriteDeadline(deadline)
	_, err := c.conn.Write(b.Bytes())
	return err
}

// ask sends p and waits for a packet of kind, or, for 0, of any.
func (c *Client) ask(ctx context.Context, p encoder, kind byte, patience time.Duration) (Packet, error) {
	start := time.Now()
	stop := context.AfterFunc(ctx, func() { _ = c.o.Socket.Close() }) // ends a write that is stuck
	err := c.send(p, start.Add(patience))
	stop()
	if ctx.Err() != nil {
		return Packet{}, ctx.Err()
	}
	if err != nil {
		return Packet{}, c.Cause(err)
	}
	return c.await(ctx, kind, patience, start)
}

// Await drops what comes until a packet of kind does. Without one it is a fault of kind [faults.OutcomeSilence].
func (c *Client) Await(ctx context.Context, kind byte, patience time.Duration) (Packet, error) {
	return c.await(ctx, kind, patience, time.Now())
}

func (c *Client) await(ctx context.Context, kind byte, patience time.Duration, since time.Time) (Packet, error) {
	timer := time.NewTimer(patience - time.Since(since))
	defer timer.Stop()
	for {
		select {
		case p, ok := <-c.packets:
			if !ok {
				return p, c.err
			}
			if p.Kind == kind && (!p.Foreign || kind == codec.TypePublish) || kind == 0 {
				return p, nil
			}
		case <-timer.C:
			return Packet{}, NoAnswer(patience)
		case <-ctx.Done():
			return Packet{}, ctx.Err()
		}
	}
}

// NoAnswer is the fault, an error of type *faults.Fault, of a server that was asked and stayed silent.
func NoAnswer(patience time.Duration) error {
	return &faults.Fault{Kind: faults.OutcomeSilence, Msg: fmt.Sprintf("no answer for %v", patience)}
}

// Cause is why the server closed, when that is why a write failed with err: an alert of TLS says more than a broken pipe.
func (c *Client) Cause(err error) error {
	timer := time.NewTimer(netdial.LastWords)
	defer timer.Stop()
	for {
		select {
		case _, ok := <-c.packets:
			if !ok {
				return c.err
			}
		case <-timer.C:
			return err
		}
	}
}
