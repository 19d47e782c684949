package diagnose

import (
	"context"
	"net"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/linkbeat/linkbeat/transport/codec"
	"github.com/linkbeat/linkbeat/transport/faults"
	"github.com/linkbeat/linkbeat/transport/internal/client"
)

const (
	packetMax  = 1 << 20 // bytes: what the server had stored may come, and is read past
	packetMax5 = 4 << 10 // it subscribes to nothing there
)

// newClient is one of MQTT 3.1.1; refused is told the bytes of each packet that nobody asked for, if it is not nil.
func newClient(c net.Conn, refused func(bytes int)) *client.Client {
	return client.New(c, client.Options{Limit: packetMax, Refused: sizes(refused)})
}

func sizes(refused func(bytes int)) func(client.Packet) {
	if refused == nil {
		return nil
	}
	return func(p client.Packet) { refused(p.Size) }
}

// hangUp says DISCONNECT, so that the server keeps nothing, and closes.
func hangUp(c *client.Client) {
	_ = c.Disconnect()
	c.Close()
}

// connect is CONNECT and CONNACK; a refusal is a *stepError.
func connect(ctx context.Context, c *client.Client, hello *packets.ConnectPacket) error {
	code, err := c.Connect(ctx, hello, patience)
	if err == nil && code != 0 {
		err = &stepError{connackFaults[code-1], faults.RefusedBy(code, hello.ClientIdentifier)}
	}
	return err
}

// subscribe asks for the filters, a few at a time, and returns those that were refused.
func subscribe(ctx context.Context, c *client.Client, filters []string) (denied []string, err error) {
	for len(filters) > 0 {
		some := filters[:min(len(filters), codec.MaxSubscribe)]
		filters = filters[len(some):]
		codes, err := c.Subscribe(ctx, some, patience)
		if err != nil {
			return denied, err
		}
		for i, code := range codes {
			if code == codec.SubackFailure {
				denied = append(denied, some[i])
			}
		}
	}
	return denied, nil
}

// reasons asks for a second opinion: MQTT 5 acknowledges with a reason (its section 3.4.2.1), where 3.1.1 cannot. On a session of
// its own it publishes to each topic. It returns one reason for each, or for the first few, where the server does not speak MQTT
// 5 or stopped answering. patience is for all of it.
func (e *echoTest) reasons(ctx context.Context, silent []echoResult) (reasons []byte) {
	e.close() // the client id is the same
	conn, err := e.dial(ctx)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c := client.New(conn, client.Options{Limit: packetMax5, Refused: sizes(e.refused), MQTT5: true})
	defer c.Close()
	if code, err := c.Connect(ctx, e.hello, patience); err != nil || code != 0 {
		return nil
	}
	end, _ := ctx.Deadline()
	for _, h := range silent {
		if _, err := c.Publish(h.topic.Topic, echoPayload(), 1, time.Until(end)); err != nil {
			return reasons
		}
		p, err := c.Await(ctx, codec.TypePuback, patience)
		if err != nil {
			return reasons
		}
		reasons = append(reasons, codec.Reason5(p.Body))
	}
	_ = c.Disconnect()
	return reasons
}
