package learn

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/linkbeat/linkbeat/transport/codec"
	"github.com/linkbeat/linkbeat/transport/faults"
	"github.com/linkbeat/linkbeat/transport/netdial"
)

// probeConn is the MQTT connection of a probe session: over the same server, address, interface, TLS session cache and
// credentials as the main link. It speaks only when told to, so that its silence is exact. One goroutine writes; reading is
// a goroutine of its own.
type probeConn struct {
	s       *netdial.Stream
	topic   string
	packets chan probePacket // from the reader; closed at its end
	done    chan struct{}    // closed by close
	err     error            // why the reader ended; read after packets was closed
}

// probePacket is what a probe session can hear.
type probePacket struct {
	kind    byte
	payload []byte // of a PUBLISH to our topic
	code    byte   // of CONNACK and SUBACK
}

const (
	probePacketMax = 16 << 10 // bytes; anything larger is nothing of ours
	probeBacklog   = 8
	probeQoS       = 0
	failedDial     = 4 * netdial.Headers4 // bytes: SYN and what may have come back
)

// probeOptions say which connection a probe shares its path with.
type probeOptions struct {
	e         *netdial.Endpoint
	clientID  string
	topic     string
	path      netdial.Path // of the main link
	keepalive uint16
	patience  time.Duration // for each answer
}

// dialProbe opens a probe session up to SUBACK. errDenied when the server does not let it in or subscribe. What a failure has
// cost on the wire is added to cost.
func (env Env) dialProbe(ctx context.Context, o probeOptions, cost *int64) (*probeConn, error) {
	password, err := o.e.ReadPassword()
	if err != nil {
		return nil, err
	}
	s, err := env.Dialer.OpenOn(ctx, o.e, netdial.CauseProbe, o.path)
	if err != nil {
		*cost += failedDial
		return nil, err
	}
	c := &probeConn{s: s, topic: o.topic, packets: make(chan probePacket, probeBacklog), done: make(chan struct{})}
	env.Go(c.read)
	if err := c.enter(ctx, probeConnect(o, password), o.patience); err != nil {
		*cost += s.Raw.FinalCost()
		c.close()
		return nil, err
	}
	return c, nil
}

func probeConnect(o probeOptions, password string) *packets.ConnectPacket {
	p := codec.CleanConnect(o.clientID, o.e.Username, password)
	p.Keepalive = o.keepalive
	return p
}

// enter is CONNECT and SUBSCRIBE.
func (c *probeConn) enter(ctx context.Context, connect *packets.ConnectPacket, patience time.Duration) error {
	if err := c.write(connect, patience); err != nil {
		return err
	}
	p, err := c.await(ctx, codec.TypeConnack, patience)
	if err != nil {
		return err
	}
	if p.code == faults.CodeUnavailable {
		return faults.RefusedBy(p.code, connect.ClientIdentifier)
	}
	if p.code != 0 {
		return fmt.Errorf("%w: %w", errDenied, faults.RefusedBy(p.code, connect.ClientIdentifier))
	}
	sub := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
	sub.MessageID, sub.Topics, sub.Qoss = 1, []string{c.topic}, []byte{probeQoS}
	if err := c.write(sub, patience); err != nil {
		return err
	}
	p, err = c.await(ctx, codec.TypeSuback, patience)
	if err == nil && p.code == codec.SubackFailure {
		return fmt.Errorf("%w: server refused the subscription to %s", errDenied, c.topic)
	}
	return err
}

// echo publishes to the session's own topic and hears itself: only then may the main link publish there. errDenied when the
// server swallows it.
func (c *probeConn) echo(ctx context.Context, nonce []byte, patience time.Duration) error {
	pub := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	pub.TopicName, pub.Payload, pub.Qos = c.topic, nonce, probeQoS
	if err := c.write(pub, patience); err != nil {
		return err
	}
	deadline := time.Now().Add(patience)
	for {
		p, err := c.await(ctx, codec.TypePublish, time.Until(deadline))
		switch {
		case err == nil && bytes.Equal(p.payload, nonce):
			return nil
		case err == nil:
		case faults.Of(err, time.Now()).Kind == faults.OutcomeSilence:
			if err := c.ping(ctx, patience); err != nil {
				return err // an outage looks the same
			}
			return fmt.Errorf("%w: what is published to %s does not come back", errDenied, c.topic)
		default:
			return err
		}
	}
}

// ping asks the server, and reports whether it answered.
func (c *probeConn) ping(ctx context.Context, patience time.Duration) error {
	if err := c.write(packets.NewControlPacket(packets.Pingreq), patience); err != nil {
		return err
	}
	_, err := c.await(ctx, codec.TypePingresp, patience)
	return err
}

func (c *probeConn) write(p packets.ControlPacket, patience time.Duration) error {
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		return err
	}
	_ = c.s.SetWriteDeadline(time.Now().Add(patience))
	_, err := c.s.Write(b.Bytes())
	return err
}

// await drops what comes until a packet of kind does.
func (c *probeConn) await(ctx context.Context, kind byte, patience time.Duration) (probePacket, error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case p, ok := <-c.packets:
			if !ok {
				return p, c.err
			}
			if p.kind == kind {
				return p, nil
			}
		case <-timer.C:
			return probePacket{}, &faults.Fault{Kind: faults.OutcomeSilence, Msg: "no answer in time"}
		case <-ctx.Done():
			return probePacket{}, ctx.Err()
		}
	}
}

// read hands out what comes in until the connection ends.
func (c *probeConn) read() {
	defer close(c.packets)
	r := bufio.NewReaderSize(c.s, probePacketMax/16)
	var buf []byte
	for {
		var h codec.Header
		if buf, h, c.err = codec.ReadPacket(r, probePacketMax, buf, func() {}); c.err != nil {
			return
		}
		p := probePacket{kind: h.Kind}
		switch body := buf[h.Size:]; h.Kind {
		case codec.TypeConnack:
			p.code = body[1]
		case codec.TypeSuback:
			p.code = body[2]
		case codec.TypePublish:
			topic, rest, _ := codec.CutString(body)
			if string(topic) != c.topic {
				continue
			}
			p.payload = bytes.Clone(rest)
		}
		select {
		case c.packets <- p:
		case <-c.done:
			c.err = faults.ErrEnded
			return
		}
	}
}

// close says DISCONNECT, so that the server keeps nothing, and closes.
func (c *probeConn) close() {
	_ = c.write(packets.NewControlPacket(packets.Disconnect), netdial.LastWords)
	close(c.done)
	_ = c.s.Raw.Close()
}
