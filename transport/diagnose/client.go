package diagnose

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/linkbeat/linkbeat/transport/codec"
	"github.com/linkbeat/linkbeat/transport/faults"
	"github.com/linkbeat/linkbeat/transport/netdial"
)

const (
	packetMax = 1 << 20 // bytes: what the server had stored may come, and is read past
	backlog   = 16
	clientQoS = 0 // of its subscriptions: nothing has to be acknowledged
)

// client is a short MQTT session in which we ask and the server answers. Its methods are for one goroutine; reading is another's,
// because a read that ended at a deadline is the end of a WebSocket.
type client struct {
	conn    net.Conn
	packets chan packet   // from the reader; closed at its end
	done    chan struct{} // closed by close
	wg      sync.WaitGroup
	err     error // why the reader ended; read after packets was closed
	id      uint16
}

// packet is one packet of the server. The payload is that of a PUBLISH, or else all behind the header.
type packet struct {
	kind    byte
	topic   string
	payload []byte
}

func newClient(c net.Conn) *client {
	t := &client{conn: c, packets: make(chan packet, backlog), done: make(chan struct{})}
	t.wg.Go(t.read)
	return t
}

func (c *client) read() {
	defer close(c.packets)
	r := bufio.NewReader(c.conn)
	var buf []byte
	for {
		var h codec.Header
		if buf, h, c.err = codec.ReadPacket(r, packetMax, buf, func() {}); c.err != nil {
			return
		}
		p := packet{kind: h.Kind, payload: bytes.Clone(buf[h.Size:])}
		if h.Kind == codec.TypePublish {
			topic, rest, _ := codec.CutString(p.payload)
			if h.Flags>>1&3 > 0 && len(rest) >= 2 {
				rest = rest[2:] // the packet identifier, of a server that gives more than was asked for
			}
			p.topic, p.payload = string(topic), rest
		}
		select {
		case c.packets <- p:
		case <-c.done:
			c.err = faults.ErrEnded
			return
		}
	}
}

// connect is CONNECT and CONNACK.
func (c *client) connect(ctx context.Context, hello *packets.ConnectPacket, patience time.Duration) error {
	p, err := c.ask(ctx, hello, codec.TypeConnack, patience)
	if err != nil {
		return err
	}
	if code := p.payload[1]; code != 0 {
		return &stepError{connackFaults[code-1], faults.RefusedBy(code, hello.ClientIdentifier)}
	}
	return nil
}

// subscribe asks for the filters and returns those that were refused.
func (c *client) subscribe(ctx context.Context, filters []string, patience time.Duration) (denied []string, err error) {
	for some := range slices.Chunk(filters, codec.MaxSubscribe) {
		s := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
		s.MessageID, s.Topics, s.Qoss = c.nextID(), some, bytes.Repeat([]byte{clientQoS}, len(some))
		p, err := c.ask(ctx, s, codec.TypeSuback, patience)
		if err != nil {
			return denied, err
		}
		if codes := p.payload[2:]; len(codes) != len(some) {
			return denied, faults.Nonsense("a SUBACK with %d codes for %d filters", len(codes), len(some))
		}
		for i, code := range p.payload[2:] {
			if code == codec.SubackFailure {
				denied = append(denied, some[i])
			}
		}
	}
	return denied, nil
}

func (c *client) nextID() uint16 {
	c.id++
	return c.id
}

// ask sends p and waits for a packet of kind.
func (c *client) ask(ctx context.Context, p packets.ControlPacket, kind byte, patience time.Duration) (packet, error) {
	if err := c.send(p, patience); err != nil {
		return packet{}, c.cause(err)
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case got, ok := <-c.packets:
			if !ok {
				return got, c.err
			}
			if got.kind == kind {
				return got, nil
			}
		case <-timer.C:
			return packet{}, &faults.Fault{Kind: faults.OutcomeSilence, Msg: fmt.Sprintf("no answer for %v", patience)}
		case <-ctx.Done():
			return packet{}, ctx.Err()
		}
	}
}

func (c *client) send(p packets.ControlPacket, patience time.Duration) error {
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		return err
	}
	_ = c.conn.SetWriteDeadline(time.Now().Add(patience))
	_, err := c.conn.Write(b.Bytes())
	return err
}

// cause is why the server closed, when that is why a write failed: an alert of TLS says more than a broken pipe.
func (c *client) cause(err error) error {
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

// close says DISCONNECT, so that the server keeps nothing, closes and waits for the reader.
func (c *client) close() {
	_ = c.send(packets.NewControlPacket(packets.Disconnect), netdial.LastWords)
	close(c.done)
	_ = c.conn.Close()
	c.wg.Wait()
}
