// Package console serves remote consoles and taps: what an operator types goes to a serial device, and what the device says
// comes back, in numbered messages over the link. It takes devices that it is handed, and never sees a spool or config.
package console

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/linkbeat/linkbeat/agent/clock"
	"github.com/linkbeat/linkbeat/agent/errcode"
	"github.com/linkbeat/linkbeat/agent/flood"
	"github.com/linkbeat/linkbeat/agent/printable"
	"github.com/linkbeat/linkbeat/agent/wire"
	bridge "github.com/linkbeat/linkbeat/firmware-bridge"
	"github.com/linkbeat/linkbeat/transport"
)

const (
	lookEvery      = time.Second // how often leases are looked at
	intakeMessages = 256         // messages between the link's reader and us
	intakeBytes    = 512 << 10   // bytes there
	endWithin      = 2 * time.Second
	whoMost        = 64 // bytes
	leastChunk     = 64
	detailBytes    = 512 // of an answer's detail: it may quote what came, and is never as long
)

// Port is a device as a console sees it.
type Port struct {
	Device  *bridge.Device // nil: there is none, its configuration has a fault
	Allowed bool           // its configuration says console: true
}

// Server serves remote consoles and taps. While a console is open, commands to its device are answered busy and a Modbus bus is
// not polled; what the device sends still goes to the framer too, and up as frames. All but waiting belongs
// to Run.
type Server struct {
	link   *transport.Link
	port   func(name string) (Port, bool)
	topics wire.Topics
	most   int // bytes of a packet
	clock  clock.Clock
	log    zerolog.Logger

	floods  *flood.Log     // of what is refused
	answers *flood.Answers // to what is refused

	whos    whos // for the log; of Run
	began   time.Time
	intake  chan arrival
	waiting atomic.Int64 // bytes in intake

	leases   leases
	live     map[string]*session
	ended    chan *session
	over     chan struct{} // closed when Run has ended
	refusals chan struct{} // a semaphore: one for each refusal on its way
	all      sync.WaitGroup
}

type arrival struct {
	name     string
	payload  []byte
	retained bool
	dup      bool
	cost     int // bytes on the wire
}

// New returns a server that is not running. port finds a device by its name; most is the largest packet of the link, in bytes.
func New(link *transport.Link, port func(string) (Port, bool), topics wire.Topics, most int, c clock.Clock,
	log zerolog.Logger) *Server {
	return &Server{link: link, port: port, topics: topics, most: most, clock: c, log: log, floods: flood.NewLog(log),
		answers: flood.NewAnswers(), began: time.Now(), intake: make(chan arrival, intakeMessages),
		live: map[string]*session{}, ended: make(chan *session), over: make(chan struct{}),
		refusals: make(chan struct{}, leasesMost)}
}

// Charge says who counts what refused messages cost. It is called before Run.
func (c *Server) Charge(t flood.Toll) { c.answers.Charge(t) }

// Handler is the link's handler; what does not fit is missing in the numbers, which ends its session.
func (c *Server) Handler(m transport.Message, retained bool) {
	vars, ok := wire.Match(c.topics.Cmd+wire.ConsoleSuffix, m.Topic)
	if !ok { // the name of a device is empty: it is nobody's
		c.drop("console message dropped: its topic names no device", m.Size)
		return
	}
	size := int64(len(m.Payload))
	if c.waiting.Add(size) <= intakeBytes {
		select {
		case c.intake <- arrival{vars["name"], m.Payload, retained, m.Dup, m.Size}:
			return
		default:
		}
	}
	c.waiting.Add(-size)
	c.drop("console message dropped: too many at once", m.Size)
}

// drop counts what nobody can be answered for.
func (c *Server) drop(why string, cost int) {
	c.answers.Pay(cost)
	c.floods.Warn(why).Msg(why)
}

// Run serves until ctx is done; then it closes every session and waits.
func (c *Server) Run(ctx context.Context) error {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case a := <-c.intake:
			c.waiting.Add(-int64(len(a.payload)))
			c.arrived(a, time.Now())
		case s := <-c.ended:
			delete(c.live, s.id)
			c.leases.close(s.id, time.Now())
		case <-look.C:
			c.look(time.Now())
		}
	}
	for _, s := range c.live {
		s.end(wire.Busy, errcode.Stopping)
	}
	close(c.over)
	c.floods.Flush()
	c.all.Wait()
	return nil
}

// look ends the sessions whose operator has vanished, or whose device is another one now.
func (c *Server) look(now time.Time) {
	for _, id := range c.leases.expired(now) {
		c.live[id].end(wire.Timeout, fmt.Sprintf("nobody renewed the session for %d s", wire.ConsoleLeaseS))
	}
	for _, s := range c.live {
		switch p, known := c.port(s.name); {
		case !known || p.Device != s.device:
			s.end(wire.Failed, "the configuration of the device has changed")
		case !p.Allowed:
			s.end(wire.Denied, "the configuration does not say console: true any more")
		}
	}
}

// arrived takes one message of an operator.
func (c *Server) arrived(a arrival, now time.Time) {
	m, err := wire.ParseConsoleDown(a.payload)
	switch {
	case m.ID == "" || len(m.ID) > wire.MaxCommandID || len(a.name) > wire.MaxName:
		c.drop("console message dropped: without a usable id nobody can be answered", a.cost)
		return
	case err != nil:
		c.refuse(a, m, wire.Malformed, err.Error())
		return
	case m.Op == wire.ConsoleOpen || m.Op == wire.ConsoleTap:
		if c.leases.knows(m.ID, now) {
			c.answers.Pay(a.cost) // a repeat
			return
		}
		if code, detail := c.open(a, m, now); code != "" {
			c.refuse(a, m, code, detail)
		}
		return
	}
	fresh, missing := c.leases.from(m.ID, a.name, m.Seq, now)
	s := c.live[m.ID]
	switch {
	case s == nil && m.Op != wire.ConsoleClose:
		c.refuse(a, m, wire.Expired, "there is no such session, or it has ended")
	case s != nil && fresh:
		if !s.heard(m, missing, now) {
			c.answers.Pay(a.cost)
		}
	default:
		c.answers.Pay(a.cost) // a repeat, or of a session that is over
	}
}

// open judges and begins a session.
func (c *Server) open(a arrival, m wire.ConsoleDown, now time.Time) (wire.ErrorCode, string) {
	p, known := c.port(a.name)
	switch {
	case a.retained:
		return wire.Retained, "publish without the retain flag, and clear this one"
	case a.dup && now.Sub(c.began) < wire.ConsoleOpenS*time.Second: // later leases knows all that may have come
		return wire.Expired,
			"the broker has sent this for a second time, and the first may have been carried out: open another session"
	case !known:
		return wire.UnknownDevice, ""
	case !p.Allowed:
		return wire.Denied, "the device's configuration does not say console: true"
	}
	if code, detail := c.clock.Due(m.Expires, wire.ConsoleOpenS*time.Second); code != "" {
		return code, detail
	}
	switch {
	case p.Device == nil:
		return wire.Failed, "the device cannot be used: see its status"
	case m.Op == wire.ConsoleTap && m.ConsoleLine != (wire.ConsoleLine{}):
		return wire.Malformed, "a tap only looks: it cannot change the line"
	}
	s := &session{of: c, id: m.ID, name: a.name, who: whoOf(m.Who), tap: m.Op == wire.ConsoleTap, device: p.Device, began: now,
		chunk: c.chunk(a.name, m.ID), keeps: keeps()}
	if code, detail := c.leases.open(s.id, s.name, s.who, s.tap, now); code != "" {
		return code, detail
	}
	c.leases.from(m.ID, a.name, m.Seq, now)
	if err := s.begin(m.ConsoleLine); err != nil {
		c.leases.close(m.ID, now)
		return errcode.Of(err), err.Error()
	}
	c.live[m.ID] = s
	return "", ""
}

// whoOf is who an operator says to be, for the log.
func whoOf(said string) string { return printable.Words(said, whoMost) }

// chunk is how many bytes of data fit into a message either way: as base64 beside the topic, the id and the rest.
func (c *Server) chunk(name, id string) int {
	const rest = 200
	topics := max(len(c.topics.Reply), len(c.topics.Cmd)) + len(name) + len(wire.ConsoleSuffix)
	return max(leastChunk, min(wire.ConsoleChunk, (c.most-topics-len(id)-rest)/4*3))
}

// refuse answers an operator who has no session; it does not wait for the link, and a flood is neither answered nor written down.
func (c *Server) refuse(a arrival, m wire.ConsoleDown, code wire.ErrorCode, detail string) {
	c.answers.Pay(a.cost)
	if code == wire.Expired && m.Op != wire.ConsoleOpen && m.Op != wire.ConsoleTap {
		const none = "message for a console that is not open refused"
		c.floods.Warn(none).Str("device", a.name).Str("session", m.ID).Msg(none)
	} else {
		c.floods.Warn("console refused: "+string(code)).Str("device", a.name).Str("session", m.ID).Str("error", string(code)).
			Msg("console refused")
	}
	if !c.answers.Take(time.Now()) {
		return
	}
	select {
	case c.refusals <- struct{}{}:
	default:
		return
	}
	up := wire.ConsoleUp{ID: m.ID, Seq: 1, Op: wire.ConsoleClosed, Error: code, Detail: flood.Clip(detail, detailBytes)}
	reply := c.message(a.name, up)
	reply.Cause = transport.CauseRefused
	ctx, cancel := context.WithTimeout(context.Background(), endWithin)
	c.all.Go(func() {
		defer func() { cancel(); <-c.refusals }()
		_, _ = c.link.Send(ctx, reply)
	})
}

func (c *Server) message(name string, m wire.ConsoleUp) transport.Message {
	return transport.Message{Topic: wire.Expand(c.topics.Reply, "name", name) + wire.ConsoleSuffix, Payload: m.Append(nil),
		QoS: 1, Cause: transport.CauseCmd}
}
