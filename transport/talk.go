package transport

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
	talkPacketMax = 1 << 20 // bytes: what the server had stored may come, and is read past
	talkBacklog   = 16
	talkQoS       = 0 // of its subscriptions: nothing has to be acknowledged
)

// talk is a short MQTT session in which we ask and the server answers. Its methods are for one goroutine; reading is another's,
// because a read that ended at a deadline is the end of a WebSocket.
type talk struct {
	c       net.Conn
	packets chan talkPacket // from the reader; closed at its end
	done    chan struct{}   // closed by close
	wg      sync.WaitGroup
	err     error // why the reader ended; read after packets was closed
	id      uint16
}

// talkPacket is one packet of the server. The payload is that of a PUBLISH, or else all behind the header.
type talkPacket struct {
	kind    byte
	topic   string
	payload []byte
}

func newTalk(c net.Conn) *talk {
	t := &talk{c: c, packets: make(chan talkPacket, talkBacklog), done: make(chan struct{})}
	t.wg.Go(t.read)
	return t
}

func (t *talk) read() {
	defer close(t.packets)
	r := bufio.NewReader(t.c)
	var buf []byte
	for {
		var h codec.Header
		if buf, h, t.err = codec.ReadPacket(r, talkPacketMax, buf, func() {}); t.err != nil {
			return
		}
		p := talkPacket{kind: h.Kind, payload: bytes.Clone(buf[h.Size:])}
		if h.Kind == codec.TypePublish {
			topic, rest, _ := codec.CutString(p.payload)
			if h.Flags>>1&3 > 0 && len(rest) >= 2 {
				rest = rest[2:] // the packet identifier, of a server that gives more than was asked for
			}
			p.topic, p.payload = string(topic), rest
		}
		select {
		case t.packets <- p:
		case <-t.done:
			t.err = faults.ErrEnded
			return
		}
	}
}

// connect is CONNECT and CONNACK.
func (t *talk) connect(ctx context.Context, hello *packets.ConnectPacket, patience time.Duration) error {
	p, err := t.ask(ctx, hello, codec.TypeConnack, patience)
	if err != nil {
		return err
	}
	if code := p.payload[1]; code != 0 {
		return &trialError{connackFaults[code-1], faults.RefusedBy(code, hello.ClientIdentifier)}
	}
	return nil
}

// subscribe asks for the filters and returns those that were refused.
func (t *talk) subscribe(ctx context.Context, filters []string, patience time.Duration) (denied []string, err error) {
	for some := range slices.Chunk(filters, codec.MaxSubscribe) {
		s := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
		s.MessageID, s.Topics, s.Qoss = t.nextID(), some, bytes.Repeat([]byte{talkQoS}, len(some))
		p, err := t.ask(ctx, s, codec.TypeSuback, patience)
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

func (t *talk) nextID() uint16 {
	t.id++
	return t.id
}

// ask sends p and waits for a packet of kind.
func (t *talk) ask(ctx context.Context, p packets.ControlPacket, kind byte, patience time.Duration) (talkPacket, error) {
	if err := t.send(p, patience); err != nil {
		return talkPacket{}, t.cause(err)
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case got, ok := <-t.packets:
			if !ok {
				return got, t.err
			}
			if got.kind == kind {
				return got, nil
			}
		case <-timer.C:
			return talkPacket{}, &faults.Fault{Kind: faults.OutcomeSilence, Msg: fmt.Sprintf("no answer for %v", patience)}
		case <-ctx.Done():
			return talkPacket{}, ctx.Err()
		}
	}
}

func (t *talk) send(p packets.ControlPacket, patience time.Duration) error {
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		return err
	}
	_ = t.c.SetWriteDeadline(time.Now().Add(patience))
	_, err := t.c.Write(b.Bytes())
	return err
}

// cause is why the server closed, when that is why a write failed: an alert of TLS says more than a broken pipe.
func (t *talk) cause(err error) error {
	timer := time.NewTimer(netdial.LastWords)
	defer timer.Stop()
	for {
		select {
		case _, ok := <-t.packets:
			if !ok {
				return t.err
			}
		case <-timer.C:
			return err
		}
	}
}

// close says DISCONNECT, so that the server keeps nothing, closes and waits for the reader.
func (t *talk) close() {
	_ = t.send(packets.NewControlPacket(packets.Disconnect), netdial.LastWords)
	close(t.done)
	_ = t.c.Close()
	t.wg.Wait()
}
