package diagnose

import (
	"context"
	"fmt"
	"net"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/linkbeat/linkbeat/transport/codec"
	"github.com/linkbeat/linkbeat/transport/faults"
	"github.com/linkbeat/linkbeat/transport/internal/client"
)

const packetMax = 1 << 20 // bytes: what the server had stored may come, and is read past

// newClient is one of MQTT 3.1.1; refused is told the bytes of each packet that nobody asked for, if it is not nil.
func newClient(c net.Conn, refused func(bytes int)) *client.Client {
	return client.New(c, client.Options{Limit: packetMax, Refused: sizes(refused)})
}

func sizes(refused func(bytes int)) func(client.Packet) {
	if refused == nil {
		return nil
	}
	return func(p client.Packet) { refused(p.Read) }
}

// hangUp says DISCONNECT, so that the server keeps nothing, and closes.
func hangUp(c *client.Client) {
	_ = c.Disconnect()
	c.Close()
}

// connect is CONNECT and CONNACK; a refusal is a *stepError.
func connect(ctx context.Context, c *client.Client, hello *packets.ConnectPacket, old bool) error {
	if !old {
		code, err := c.Connect(ctx, hello, patience5)
		if err == nil && code != 0 {
			err = fmt.Errorf("refused in MQTT 5 (reason 0x%02x)", code)
		}
		return err
	}
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
			if code >= codec.SubackFailure {
				denied = append(denied, some[i])
			}
		}
	}
	return denied, nil
}
