package console

import (
	"context"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/linkbeat/linkbeat/agent/clock"
	"github.com/linkbeat/linkbeat/agent/wire"
	bridge "github.com/linkbeat/linkbeat/firmware-bridge"
	"github.com/linkbeat/linkbeat/firmware-bridge/framing"
	"github.com/linkbeat/linkbeat/firmware-bridge/serialport"
	"github.com/linkbeat/linkbeat/transport"
	"github.com/linkbeat/linkbeat/transport/transporttest"
)

// plainPort is a serialport.Port that takes everything, perhaps slowly, and gives what is put into in.
type plainPort struct {
	in     chan []byte
	slow   time.Duration // for each write
	closed chan struct{}
	once   sync.Once

	mu  sync.Mutex
	out []byte
}

func newPlainPort() *plainPort {
	return &plainPort{in: make(chan []byte, 100), closed: make(chan struct{})}
}

func (p *plainPort) Read(b []byte, until time.Time) (int, error) {
	var late <-chan time.Time
	if !until.IsZero() {
		late = time.After(time.Until(until))
	}
	select {
	case d := <-p.in:
		return copy(b, d), nil
	case <-p.closed:
		return 0, os.ErrClosed
	case <-late:
		return 0, os.ErrDeadlineExceeded
	}
}

func (p *plainPort) Write(b []byte, _ time.Time) (int, error) {
	time.Sleep(p.slow)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out = append(p.out, b...)
	return len(b), nil
}

func (p *plainPort) Drain(time.Time) error { return nil }
func (p *plainPort) Discard() error        { return nil }

func (p *plainPort) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *plainPort) written() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(p.out)
}

// rig is a gateway's consoles between a broker in memory and one device "plc".
type rig struct {
	t      *testing.T
	broker *transporttest.Broker
	port   *plainPort
	device *bridge.Device

	server *Server
}

// withRig runs f beside it, in a bubble; slow is what each write takes, most the largest packet.
func withRig(t *testing.T, slow time.Duration, most int, f func(r *rig)) {
	synctest.Test(t, func(t *testing.T) {
		net, p := transporttest.NewNetwork(), newPlainPort()
		p.slow = slow
		r := &rig{t: t, broker: transporttest.NewBroker(transporttest.Hooks{}), port: p}
		l, err := net.Listen("broker:1883")
		if err != nil {
			t.Fatal(err)
		}
		r.broker.Serve(l)
		link, err := transport.New(transport.Options{ClientID: "gw", Servers: []transport.Server{{URL: "mqtt://broker:1883"}},
			Dial: net.Dial, MaxPacket: most})
		if err != nil {
			t.Fatal(err)
		}
		r.device, err = bridge.New(bridge.Options{Name: "plc", Port: "/dev/fake", Baud: 9600,
			Framing: framing.Spec{Type: "line", Max: 64}, OnFrame: func(bridge.Frame) error { return nil },
			Open: func(context.Context, string, serialport.Line) (serialport.Port, error) { return p, nil }})
		if err != nil {
			t.Fatal(err)
		}
		topics := wire.DefaultTopics().For("gw")
		find := func(name string) (Port, bool) { return Port{r.device, true}, name == "plc" }
		r.server = New(link, find, topics, most, clock.New(time.Time{}), zerolog.New(io.Discard))
		link.Handle(wire.Filter(topics.Cmd)+wire.ConsoleSuffix, r.server.Handler)
		ctx, stop := context.WithCancel(t.Context())
		linkCtx, stopLink := context.WithCancel(t.Context())
		var parts, links sync.WaitGroup
		parts.Go(func() { _ = r.device.Run(ctx) })
		parts.Go(func() { _ = r.server.Run(ctx) })
		links.Go(func() { _ = link.Run(linkCtx) })
		time.Sleep(time.Minute)
		f(r)
		stop()
		parts.Wait()
		stopLink()
		links.Wait()
		r.broker.Close()
		net.Close()
	})
}

// say publishes as an operator, and lets it have its effect.
func (r *rig) say(m wire.ConsoleDown) {
	if m.ID == "" {
		m.ID = "x"
	}
	if m.Op == wire.ConsoleOpen || m.Op == wire.ConsoleTap {
		m.Expires = time.Now().Add(15 * time.Second).UnixMilli()
	}
	r.broker.Publish(transporttest.Message{Topic: "lb/gw/dn/cmd/plc/console", Payload: m.Append(nil), QoS: 1})
	time.Sleep(100 * time.Millisecond)
}

// heard is what the gateway has said to a session, "op error" of each.
func (r *rig) heard(id string) (all []string, last wire.ConsoleUp) {
	for _, m := range r.broker.Published("lb/gw/up/reply/plc/console") {
		u, err := wire.ParseConsoleUp(m.Payload)
		if err != nil {
			r.t.Errorf("%s: %v", m.Payload, err)
		}
		if u.ID == id {
			all, last = append(all, strings.TrimSpace(string(u.Op)+" "+string(u.Error))), u
		}
	}
	return all, last
}

func (r *rig) want(id string, want ...string) wire.ConsoleUp {
	r.t.Helper()
	got, last := r.heard(id)
	if strings.Join(got, ", ") != strings.Join(want, ", ") {
		r.t.Errorf("session %s heard %q, want %q: %+v", id, got, want, last)
	}
	return last
}

const plentyOfRoom = 128 << 10

func TestAConsoleBothWays(t *testing.T) {
	withRig(t, 0, plentyOfRoom, func(r *rig) {
		r.say(wire.ConsoleDown{Seq: 1, Op: wire.ConsoleOpen})
		r.say(wire.ConsoleDown{Seq: 2, Op: wire.ConsoleData, Data: []byte("AT\r")})
		r.port.in <- []byte("OK\n")
		time.Sleep(time.Second)
		if up := r.want("x", "opened", "data"); string(up.Data) != "OK\n" || up.Taken != 3 || r.port.written() != "AT\r" {
			t.Errorf("%+v, written %q", up, r.port.written())
		}
		r.say(wire.ConsoleDown{Seq: 3, Op: wire.ConsoleClose})
		r.want("x", "opened", "data", "closed")
	})
}

func TestATapCannotWrite(t *testing.T) {
	withRig(t, 0, plentyOfRoom, func(r *rig) {
		r.say(wire.ConsoleDown{ID: "a", Seq: 1, Op: wire.ConsoleTap, ConsoleLine: wire.ConsoleLine{Baud: 300}})
		r.want("a", "closed malformed")
		r.say(wire.ConsoleDown{ID: "b", Seq: 1, Op: wire.ConsoleTap})
		r.say(wire.ConsoleDown{ID: "b", Seq: 2, Op: wire.ConsoleData, Data: []byte("x")})
		r.say(wire.ConsoleDown{ID: "b", Seq: 3, Op: wire.ConsoleSet, ConsoleLine: wire.ConsoleLine{Baud: 300}})
		r.want("b", "opened", "fault denied", "fault denied")
		if r.port.written() != "" {
			t.Errorf("written %q", r.port.written())
		}
	})
}

// Whatever comes again, from an operator or from the broker, is not written twice.
func TestAnOpenIsCarriedOutOnce(t *testing.T) {
	withRig(t, 0, plentyOfRoom, func(r *rig) {
		for range 2 {
			r.say(wire.ConsoleDown{Seq: 1, Op: wire.ConsoleOpen})
			r.say(wire.ConsoleDown{Seq: 2, Op: wire.ConsoleData, Data: []byte("reset\r")})
			r.say(wire.ConsoleDown{Seq: 3, Op: wire.ConsoleClose})
		}
		if r.port.written() != "reset\r" {
			t.Errorf("written %q", r.port.written())
		}
	})
}

// What the broker sends for a second time may have come before the gateway started: only a young one does not know.
func TestAnOpenThatTheBrokerSendsAgain(t *testing.T) {
	withRig(t, 0, plentyOfRoom, func(r *rig) {
		again := func(id string, ahead time.Duration) {
			m := wire.ConsoleDown{ID: id, Seq: 1, Op: wire.ConsoleTap, Expires: time.Now().Add(ahead).UnixMilli()}
			r.server.Handler(transport.Message{Topic: "lb/gw/dn/cmd/plc/console", Payload: m.Append(nil), QoS: 1,
				Dup: true}, false)
			time.Sleep(time.Second)
		}
		r.server.began = time.Now()
		again("a", 15*time.Second)
		r.want("a", "closed expired")
		time.Sleep(wire.ConsoleOpenS * time.Second)
		again("b", 15*time.Second)
		r.want("b", "opened")
		again("c", 2*wire.ConsoleOpenS*time.Second)
		r.want("c", "closed malformed")
	})
}

func TestAHoleDoesNotEndATap(t *testing.T) {
	withRig(t, 0, plentyOfRoom, func(r *rig) {
		r.say(wire.ConsoleDown{Seq: 1, Op: wire.ConsoleTap})
		r.say(wire.ConsoleDown{Seq: 5, Op: wire.ConsoleKeep})
		r.want("x", "opened", "kept")
	})
}

func TestAHoleInWhatIsTypedEndsTheConsole(t *testing.T) {
	withRig(t, 0, plentyOfRoom, func(r *rig) {
		r.say(wire.ConsoleDown{Seq: 1, Op: wire.ConsoleOpen})
		r.say(wire.ConsoleDown{Seq: 3, Op: wire.ConsoleData, Data: []byte("rm -r /tmp/x\r")})
		r.want("x", "opened", "closed unknown_outcome")
		if r.port.written() != "" {
			t.Errorf("written %q", r.port.written())
		}
		r.say(wire.ConsoleDown{ID: "y", Seq: 1, Op: wire.ConsoleOpen})
		r.want("y", "opened")
	})
}

func TestAConsoleTellsOftenEnoughHowMuchIsWritten(t *testing.T) {
	const baud1200 = 8 * time.Millisecond
	withRig(t, baud1200, plentyOfRoom, func(r *rig) {
		r.say(wire.ConsoleDown{Seq: 1, Op: wire.ConsoleOpen})
		for i := range 2 * wire.ConsoleMessages {
			m := wire.ConsoleDown{ID: "x", Seq: uint64(i + 2), Op: wire.ConsoleData, Data: []byte{'a'}}
			r.broker.Publish(transporttest.Message{Topic: "lb/gw/dn/cmd/plc/console", Payload: m.Append(nil), QoS: 1})
		}
		time.Sleep(5 * time.Second)
		if _, last := r.heard("x"); last.Op != wire.ConsoleKept || last.Taken < 2*wire.ConsoleMessages-tellMessages ||
			len(r.port.written()) != 2*wire.ConsoleMessages {
			t.Errorf("%+v, %d written", last, len(r.port.written()))
		}
	})
}

// A gateway that takes small messages only says so, and sends none that are larger.
func TestASmallMaxPayload(t *testing.T) {
	withRig(t, 0, 1<<10, func(r *rig) {
		r.say(wire.ConsoleDown{Seq: 1, Op: wire.ConsoleOpen})
		opened := r.want("x", "opened")
		down := wire.ConsoleDown{ID: "x", Seq: 2, Op: wire.ConsoleData, Data: make([]byte, opened.Max)}
		if n := len(down.Append(nil)); opened.Max < 100 || n > 1<<10 {
			t.Errorf("%d bytes of data make a message of %d", opened.Max, n)
		}
		r.say(down)
		for range 4 {
			r.port.in <- make([]byte, 1000)
		}
		time.Sleep(time.Second)
		total := 0
		for _, m := range r.broker.Published("lb/gw/up/reply/plc/console") {
			u, _ := wire.ParseConsoleUp(m.Payload)
			total += len(u.Data)
		}
		if total != 4000 || len(r.port.written()) != opened.Max {
			t.Errorf("%d of 4000 bytes came, %d of %d went", total, len(r.port.written()), opened.Max)
		}
	})
}

func TestALeaseEndsAndTheDeviceIsFree(t *testing.T) {
	withRig(t, 0, plentyOfRoom, func(r *rig) {
		r.say(wire.ConsoleDown{Seq: 1, Op: wire.ConsoleOpen, Who: "ada@desk"})
		r.say(wire.ConsoleDown{ID: "y", Seq: 1, Op: wire.ConsoleOpen})
		if up := r.want("y", "closed busy"); !strings.HasPrefix(up.Detail, "ada@desk has the console of this device for") {
			t.Error(up.Detail)
		}
		time.Sleep(25 * time.Second)
		r.say(wire.ConsoleDown{Seq: 2, Op: wire.ConsoleKeep})
		time.Sleep(25 * time.Second)
		r.want("x", "opened", "kept")
		time.Sleep(10 * time.Second)
		r.want("x", "opened", "kept", "closed timeout")
		if r.device.Status().Held {
			t.Error("the device is still held")
		}
	})
}
