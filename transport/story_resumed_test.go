package transport

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/linkbeat/linkbeat/transport/brokertest"
	"github.com/linkbeat/linkbeat/transport/codec"
)

// A server says PUBREL again at each connect until it is answered [MQTT-4.4.0-1], whoever got the message: it is answered, each
// once, however many there are, and that is nothing to leave a server for.
func TestWhatAnEarlierSessionLeftOpenIsAnswered(t *testing.T) {
	for _, open := range []int{1, 40, 1000} {
		t.Run(fmt.Sprint(open), func(t *testing.T) {
			inBubble(t, rigOptions{}, func(r *rig) {
				r.up(time.Minute)
				for i := range open {
					r.a.Owe(rigID, uint16(i+1))
				}
				for range 2 {
					r.a.Kick(rigID)
					r.down(time.Minute)
					r.up(2 * time.Minute)
					r.sleep(time.Minute)
					if n := r.a.Owed(rigID); n != 0 {
						r.Errorf("%d of %d are still open", n, open)
					}
				}
				if n, err := r.link.Publish(r.Context(), data(1)); n != 1 || err != nil {
					r.Error(err)
				}
				st := r.link.Status()
				if st.Losses["protocol"] != 0 || st.Drops != 2 || st.Ignored != 0 || st.Bytes.Refused != int64(8*open) {
					r.Errorf("%+v", st)
				}
			})
		})
	}
}

// rawClient speaks with a server as another program would that has our client id.
type rawClient struct {
	*testing.T
	net.Conn
	r *bufio.Reader
}

func newRawClient(t *testing.T, addr, id string, clean bool) *rawClient {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	c := &rawClient{t, conn, bufio.NewReader(conn)}
	hello := codec.CleanConnect(id, "", "")
	hello.CleanSession, hello.Keepalive = clean, 600
	c.say(hello)
	if ack := c.next().(*packets.ConnackPacket); ack.ReturnCode != 0 {
		t.Fatal(ack)
	}
	return c
}

func (c *rawClient) say(p packets.ControlPacket) {
	c.Helper()
	if err := p.Write(c.Conn); err != nil {
		c.Fatal(err)
	}
}

func (c *rawClient) next() packets.ControlPacket {
	c.Helper()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	p, err := packets.ReadPacket(c.r)
	if err != nil {
		c.Fatal(err)
	}
	return p
}

func (c *rawClient) publish2(topic string, id uint16, payload []byte) {
	c.Helper()
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.TopicName, p.Qos, p.MessageID, p.Payload = topic, 2, id, payload
	c.say(p)
	c.next() // PUBREC
	rel := packets.NewControlPacket(packets.Pubrel).(*packets.PubrelPacket)
	rel.MessageID = id
	c.say(rel)
	c.next() // PUBCOMP
}

// leaveOpen subscribes with QoS 2, as earlier software of ours might have, takes n messages up to their PUBREL, and goes.
func leaveOpen(t *testing.T, addr string, n int) {
	t.Helper()
	c := newRawClient(t, addr, "gw-1", false)
	defer c.Close()
	s := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
	s.MessageID, s.Topics, s.Qoss = 1, []string{"old/#"}, []byte{2}
	c.say(s)
	c.next()
	other := newRawClient(t, addr, "old", true)
	go func() {
		for i := range n {
			other.publish2("old/cmd", uint16(i+1), []byte("x"))
		}
	}()
	for released := 0; released < n; {
		switch p := c.next().(type) {
		case *packets.PublishPacket:
			rec := packets.NewControlPacket(packets.Pubrec).(*packets.PubrecPacket)
			rec.MessageID = p.MessageID
			c.say(rec)
		case *packets.PubrelPacket:
			released++
		}
	}
}

// The real broker's window was full of messages that an earlier client never completed: commands come through, and it asks no
// more.
func TestMosquittoResumesQoS2(t *testing.T) {
	for _, open := range []int{20, 60} {
		t.Run(fmt.Sprint(open), func(t *testing.T) {
			m := brokertest.Start(t, func(port int, dir string) string {
				return fmt.Sprintf("max_inflight_messages %d\n%s", open, brokertest.Plain(port, dir))
			})
			leaveOpen(t, m.Addr(), open)
			got := make(chan Message, 16)
			l, err := New(Options{ClientID: "gw-1", Servers: []Server{{URL: URL("mqtt://" + m.Addr())}}})
			if err != nil {
				t.Fatal(err)
			}
			l.Handle("lb/gw-1/dn/#", func(m Message, _ bool) { got <- m })
			stop := runLink(t, l)
			awaitUp(t, l)
			other := newRawClient(t, m.Addr(), "op", true)
			other.publish2("lb/gw-1/dn/cmd", 1, []byte("go"))
			if m := await(t, "command", got); string(m.Payload) != "go" {
				t.Errorf("%+v", m)
			}
			if st := l.Status(); st.Drops != 0 || st.Ignored != 0 || st.Losses["protocol"] != 0 {
				t.Errorf("%+v", st)
			}
			for end := time.After(patience); strings.Count(m.Log(), "Received PUBCOMP from gw-1") < open; {
				select {
				case <-end:
					t.Fatal("not all are answered")
				case <-time.After(time.Millisecond):
				}
			}
			stop()
			again := newRawClient(t, m.Addr(), "gw-1", false)
			again.say(packets.NewControlPacket(packets.Pingreq))
			p := again.next()
			for is := true; is; { // the command, if the stop came before its PUBACK
				if _, is = p.(*packets.PublishPacket); is {
					p = again.next()
				}
			}
			if _, ok := p.(*packets.PingrespPacket); !ok {
				t.Errorf("still asked for: %v", p)
			}
		})
	}
}

// A message of QoS 2 that an old subscription brings, and that is too long for us, is acknowledged as its QoS wants, or the
// broker keeps its place in the window for ever.
func TestMosquittoOversizedQoS2(t *testing.T) {
	m := brokertest.Start(t, func(port int, dir string) string {
		return "max_inflight_messages 1\n" + brokertest.Plain(port, dir)
	})
	leaveOpen(t, m.Addr(), 1)
	other := newRawClient(t, m.Addr(), "op", true)
	other.publish2("old/cmd", 1, make([]byte, 100<<10))
	other.publish2("old/cmd", 2, make([]byte, 100<<10))
	got := make(chan Message, 16)
	l, err := New(Options{ClientID: "gw-1", MaxPacket: 16 << 10, Servers: []Server{{URL: URL("mqtt://" + m.Addr())}}})
	if err != nil {
		t.Fatal(err)
	}
	l.Handle("lb/gw-1/dn/#", func(m Message, _ bool) { got <- m })
	runLink(t, l)
	awaitUp(t, l)
	for i := range 3 {
		other.publish2("lb/gw-1/dn/cmd", uint16(3+i), []byte("go"))
		await(t, "command", got)
	}
	if st := l.Status(); st.Drops != 0 || st.Oversized != 2 || st.Ignored != 0 {
		t.Errorf("%+v", st)
	}
}
