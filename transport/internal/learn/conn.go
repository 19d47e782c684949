package learn

import (
	"context"
	"fmt"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/linkbeat/linkbeat/transport/codec"
	"github.com/linkbeat/linkbeat/transport/faults"
	"github.com/linkbeat/linkbeat/transport/internal/client"
	"github.com/linkbeat/linkbeat/transport/netdial"
)

// probeConn is the MQTT session of a probe: over the same server, address, interface, TLS session cache and credentials as the
// main link. It speaks only when it is called, so that its silence is exact.
type probeConn struct {
	*client.Client
	s     *netdial.Stream
	topic string
}

const (
	probePacketMax = foreignOne           // bytes, beside the topic; anything larger is nothing of ours, and is not read
	probeQoS       = 0                    // nothing but the main link's publish is acknowledged
	failedDial     = 4 * netdial.Headers4 // bytes: SYN and what may have come back
)

// probeOptions say which connection a probe shares its path with.
type probeOptions struct {
	e         *netdial.Endpoint
	clientID  string
	topic     string       // empty: it hears nothing
	path      netdial.Path // of the main link
	keepalive uint16
	patience  time.Duration // for each answer
}

// probeOptions are those of a probe in a slot, on the main link's path as it is now. short: its keepalive may be the link's own;
// else no server may end it before the learner does.
func (le *Learner) probeOptions(slot int, short bool) probeOptions {
	e := le.main.Endpoint()
	o := probeOptions{e: e, clientID: le.o.ClientID(slot), topic: le.o.Topic(slot), path: le.main.Path(),
		keepalive: uint16(e.AllowedKeepalive(le.env.Keepalive) / time.Second), patience: le.env.Dialer.HandshakeTime()}
	if !short {
		o.keepalive = max(o.keepalive, canaryKeepalive)
	}
	return o
}

// dial opens a probe session up to SUBACK. errDenied when the server does not let it in or subscribe. What a failure has
// cost on the wire is added to cost. What others send there is refused, and told to the learner.
func (f *flows) dial(ctx context.Context, o probeOptions, cost *int64) (*probeConn, error) {
	le, env := f.le, f.le.env
	password, err := o.e.ReadPassword()
	if err != nil {
		return nil, err
	}
	s, err := env.Dialer.OpenOn(ctx, o.e, netdial.CauseProbe, o.path)
	if err != nil {
		*cost += failedDial
		return nil, err
	}
	refused := func(p client.Packet) {
		n := p.Read
		if o.e.Scheme.TLS {
			n += recordTLS
		}
		env.Dialer.Counter.Refuse(netdial.CauseProbe, n)
		le.do(func() { le.strangers.heard(o.topic, p, time.Now()) })
	}
	bound := client.Foreign{Messages: foreignMessages, Bytes: foreignOne, Within: foreignWithin}
	c := &probeConn{client.New(s, client.Options{Limit: probePacketMax + len(o.topic), Socket: s.Raw, Refused: refused,
		Own: le.nonces.ours, Foreign: bound}), s, o.topic}
	if err := c.begin(ctx, probeConnect(o, password), o.patience); err != nil {
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

// begin sends CONNECT and SUBSCRIBE. errDenied when the server refuses one of them for good.
func (c *probeConn) begin(ctx context.Context, connect *packets.ConnectPacket, patience time.Duration) error {
	code, err := c.Connect(ctx, connect, patience)
	if err != nil {
		return err
	}
	if code == faults.CodeUnavailable {
		return faults.RefusedBy(code, connect.ClientIdentifier)
	}
	if code != 0 {
		return fmt.Errorf("%w: %w", errDenied, faults.RefusedBy(code, connect.ClientIdentifier))
	}
	if c.topic == "" {
		return nil
	}
	codes, err := c.Subscribe(ctx, []string{c.topic}, patience)
	if err == nil && codes[0] == codec.SubackFailure {
		return fmt.Errorf("%w: server refused the subscription to %s", errDenied, c.topic)
	}
	return err
}

// echo publishes to the session's own topic and hears itself: only then may the main link publish there. errDenied when the
// server swallows it.
func (c *probeConn) echo(ctx context.Context, nonce []byte, patience time.Duration) error {
	c.Expect(nonce)
	if _, err := c.Publish(c.topic, nonce, probeQoS, patience); err != nil {
		return err
	}
	deadline := time.Now().Add(patience)
	for {
		p, err := c.Await(ctx, codec.TypePublish, time.Until(deadline))
		switch {
		case err == nil && !p.Foreign:
			return nil
		case err == nil:
		case faults.Of(err, time.Now()).Kind == faults.OutcomeSilence:
			if err := c.Ping(ctx, patience); err != nil {
				return err // an outage looks the same
			}
			return fmt.Errorf("%w: what is published to %s does not come back", errDenied, c.topic)
		default:
			return err
		}
	}
}

// close says DISCONNECT, so that the server keeps nothing, and closes.
func (c *probeConn) close() {
	_ = c.Disconnect()
	c.Close()
}
