package heartbeat

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"sync"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

const (
	pingTimeout = 10 * time.Second // paho's
	redialAfter = time.Second
)

// pacer decides how long a client stays silent before it pings.
type pacer interface {
	next() time.Duration
	answered() // after a ping
	failed()   // a ping was not answered
}

// fixed is an interval that somebody wrote into a configuration.
type fixed time.Duration

func (f fixed) next() time.Duration { return time.Duration(f) }
func (f fixed) answered()           {}
func (f fixed) failed()             {}

// mars steps on the main link, as Tencent's Mars says of its smart heartbeat: from 210 s, a minute more after 5 answers in a
// row, up to 600 s; after 2 failures in a row 80 s less, and that is final.
type mars struct {
	at, ok, bad int // seconds; counts
	final       bool
}

func newMars() *mars { return &mars{at: 210} }

func (m *mars) next() time.Duration { return time.Duration(m.at) * time.Second }

func (m *mars) answered() {
	m.bad = 0
	if m.ok++; m.ok >= 5 && !m.final {
		m.at, m.ok = min(m.at+60, 600), 0
	}
}

func (m *mars) failed() {
	m.ok = 0
	if m.bad++; m.bad >= 2 {
		m.at, m.bad, m.final = max(210, m.at-80), 0, true
	}
}

// courier learns with pings on a second connection, in whole minutes: two minutes more after each answer; the first failure is
// final and is halved with the last answer until they touch. The main link follows.
type courier struct {
	mu        sync.Mutex
	good, bad int // minutes
	trial     int
}

func newCourier() *courier { return &courier{good: 1, trial: 2} }

func (c *courier) next() time.Duration { // of the main link
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Duration(c.good) * time.Minute
}
func (c *courier) answered() {}
func (c *courier) failed()   {}

// courierTrial is the second connection.
type courierTrial struct{ c *courier }

func (t courierTrial) next() time.Duration {
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	if t.c.bad > 0 && t.c.bad-t.c.good <= 1 {
		return 0
	}
	return time.Duration(t.c.trial) * time.Minute
}

func (t courierTrial) answered() { t.move(func(c *courier) { c.good = c.trial }) }
func (t courierTrial) failed()   { t.move(func(c *courier) { c.bad = c.trial }) }

func (t courierTrial) move(f func(*courier)) {
	c := t.c
	c.mu.Lock()
	defer c.mu.Unlock()
	f(c)
	if c.bad > 0 {
		c.trial = (c.good + c.bad) / 2
	} else {
		c.trial = min(c.good+2, 19)
	}
}

// rival is a plain MQTT client with a pacer.
type rival struct {
	pacer pacer
	trial pacer // on a second connection; nil: none

	mu   sync.Mutex
	drop []time.Time
}

func (r *rival) interval() time.Duration { return r.pacer.next() }

func (r *rival) drops() []time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]time.Time(nil), r.drop...)
}

func (r *rival) run(ctx context.Context, w *world) {
	var wg sync.WaitGroup
	defer wg.Wait()
	if r.trial != nil {
		wg.Go(func() { keep(ctx, w, deviceID+"-2", r.trial, nil) })
	}
	keep(ctx, w, deviceID, r.pacer, func() {
		r.mu.Lock()
		r.drop = append(r.drop, time.Now())
		r.mu.Unlock()
	})
}

// keep holds a connection. lost nil: it is the second one, which ends with its pacer.
func keep(ctx context.Context, w *world, id string, p pacer, lost func()) {
	for ctx.Err() == nil && p.next() > 0 {
		if conn, err := w.dial(ctx, "tcp", "a:1883"); err == nil {
			stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
			serve(ctx, w, conn, id, p, lost != nil)
			stop()
			_ = conn.Close()
			if ctx.Err() == nil && lost != nil {
				lost()
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(redialAfter):
		}
	}
}

// serve is one session, until a ping is not answered.
func serve(ctx context.Context, w *world, conn net.Conn, id string, p pacer, main bool) {
	inbound := make(chan packets.ControlPacket, 16)
	done := make(chan struct{})
	defer close(done)
	go func() {
		defer close(inbound)
		r := bufio.NewReader(conn)
		for {
			packet, err := packets.ReadPacket(r)
			if err != nil {
				return
			}
			select {
			case inbound <- packet:
			case <-done:
				return
			}
		}
	}()
	send(conn, connect(id))
	if main {
		s := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
		s.MessageID, s.Topics, s.Qoss = 1, []string{cmdFilter}, []byte{1}
		send(conn, s)
	}
	timer := time.NewTimer(p.next())
	defer timer.Stop()
	for waiting := false; ; {
		select {
		case <-ctx.Done():
			return
		case packet, ok := <-inbound:
			if !ok {
				if waiting {
					p.failed()
				}
				return
			}
			switch m := packet.(type) {
			case *packets.PublishPacket:
				w.heard(m.Payload)
				ack := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
				ack.MessageID = m.MessageID
				send(conn, ack)
			case *packets.PingrespPacket:
				waiting = false
				p.answered()
			}
			if !waiting && p.next() > 0 {
				timer.Reset(p.next())
			}
		case <-timer.C:
			if waiting {
				p.failed()
				return
			}
			if p.next() == 0 {
				return
			}
			waiting = true
			send(conn, packets.NewControlPacket(packets.Pingreq))
			timer.Reset(pingTimeout)
		}
	}
}

func connect(id string) *packets.ConnectPacket {
	c := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	c.ProtocolName, c.ProtocolVersion, c.ClientIdentifier, c.CleanSession, c.Keepalive = "MQTT", 4, id, false, 1170
	return c
}

func send(conn net.Conn, p packets.ControlPacket) {
	var b bytes.Buffer
	if p.Write(&b) == nil {
		_, _ = conn.Write(b.Bytes()) // a failure shows as silence
	}
}
