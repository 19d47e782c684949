package transport

import (
	"context"
	"fmt"
	"time"

	"github.com/linkbeat/linkbeat/transport/backoff"
	"github.com/linkbeat/linkbeat/transport/codec"
	"github.com/linkbeat/linkbeat/transport/faults"
	"github.com/linkbeat/linkbeat/transport/internal/client"
	"github.com/linkbeat/linkbeat/transport/netdial"
)

// answerMargin is how long an answer may take after the next retransmission.
const answerMargin = time.Second

// lateness is what a session knows of an answer that is late; of the loop.
type lateness struct {
	s        *session
	results  chan error // of check
	checking bool       // a fresh connection asks the server
	after    time.Time  // no check before
	answered time.Time  // when a fresh connection was answered in this lateness; zero: it was not
	slow     time.Time  // when an acknowledgement was overdue and TCP still carried our bytes

	lookAt time.Time // when missing must be called; zero: when something changes
	told   bool      // it was, on this session
	asked  int       // how many acknowledgements had come when the server was asked for another one, last
}

// step acts when the beat calls the session late. Late is not dead: the beat pings again by itself, Why says so, and a fresh
// connection to the same server finds out whether the path is dead or only our mapping.
func (la *lateness) step(now time.Time) {
	la.s.guarded.Lock()
	late, was, asked := la.s.up.is && la.s.guarded.beat.Late(now), la.s.guarded.late, la.s.guarded.unansweredSince
	la.s.guarded.late = late
	la.s.guarded.Unlock()
	switch {
	case late && !was:
		la.s.l.health.late(la.s, asked)
	case !late && was:
		la.s.l.health.late(la.s, time.Time{})
		la.answered, la.after = time.Time{}, now.Add(la.s.l.o.DetectWithin)
	}
	if !late {
		return
	}
	if la.answered.IsZero() {
		la.check(now)
	} else if !now.Before(la.verdictAt(asked)) {
		la.giveUp(now)
	}
}

// check asks the server over a fresh connection, one at a time.
func (la *lateness) check(now time.Time) {
	if la.checking || now.Before(la.after) {
		return
	}
	la.checking, la.after = true, now.Add(netdial.RTOMax(la.s.l.o.DetectWithin))
	la.s.l.group.Go(func() { la.results <- la.s.l.checkServer(la.s.life.ctx, la.s.e, la.s.stream.Path()) })
}

// checked is called with the result of check.
func (la *lateness) checked(err error, now time.Time) {
	la.checking = false
	la.s.guarded.Lock()
	late := la.s.guarded.late
	la.s.guarded.Unlock()
	if err == nil && late {
		la.answered = now
		la.s.conn.ping() // the old one may still answer, until verdictAt
	}
}

// verdictAt is until when the old connection may still answer after a fresh one was answered: time for the kernel's next
// retransmission and an answer. After an outage the fresh connection gets through first, so without this wait each outage would
// cost a reconnect. Where the kernel does not bound its retransmission timer, the wait is as long as the silence so far, as that
// timer doubles. asked is since when the connection owes an answer, read under guarded; zero: it owes none.
func (la *lateness) verdictAt(asked time.Time) time.Time {
	chance := netdial.RTOMax(la.s.l.o.DetectWithin)
	if !la.s.stream.RTOMax && !asked.IsZero() {
		chance = max(chance, la.answered.Sub(asked))
	}
	return la.answered.Add(chance + answerMargin)
}

// giveUp ends a session whose server answers a fresh connection and not this one. Exception: while its TCP still gets bytes
// acknowledged it is only slow, behind a queue of our own data for example.
func (la *lateness) giveUp(now time.Time) {
	if netdial.Draining(la.s.stream.Raw.Conn, now.Sub(la.answered)) {
		la.answered, la.after = time.Time{}, now.Add(la.s.l.o.DetectWithin/2)
		return
	}
	_ = la.s.conn.fail(&faults.Fault{Kind: faults.OutcomeMappingLost,
		Msg: "connection forgotten on the way: a fresh one was answered while this one stayed silent"})
}

// silenceFault is the fault of a server that did not answer for DetectWithin. Where its kernel acknowledged all that we sent, the
// machine is reachable: its service is dead, or too busy.
func (la *lateness) silenceFault() *faults.Fault {
	f := &faults.Fault{Kind: faults.OutcomeSilence, Loss: faults.LossSilence}
	f.Msg = fmt.Sprintf("no answer for %v", la.s.l.o.DetectWithin)
	if netdial.Acknowledged(la.s.stream.Raw.Conn) {
		f.Loss, f.Msg = faults.LossService, f.Msg+", though its TCP acknowledges: the service does not run, or is overloaded"
	}
	return f
}

// unacknowledged ends a session whose server answers pings and acknowledges no publish for DetectWithin. Exception: our bytes are
// still being carried.
func (la *lateness) unacknowledged(now time.Time) {
	at := la.ackAt()
	if at.IsZero() || now.Before(at) {
		return
	}
	if netdial.Draining(la.s.stream.Raw.Conn, la.s.l.o.DetectWithin/2) {
		la.slow = now
		return
	}
	waited := now.Sub(la.s.window.unanswered())
	_ = la.s.conn.fail(la.ackFault(waited))
}

func (la *lateness) ackFault(waited time.Duration) *faults.Fault {
	return &faults.Fault{Kind: faults.OutcomeSilence, Loss: faults.LossAck,
		Msg: fmt.Sprintf("no publish was acknowledged for %v, though the connection is alive", waited.Round(time.Millisecond))}
}

// ackAt is when the oldest publish will have waited for too long; zero: none waits.
func (la *lateness) ackAt() time.Time {
	since := la.s.window.unanswered()
	if since.IsZero() {
		return since
	}
	if la.slow.After(since) {
		since = la.slow
	}
	return since.Add(la.s.l.o.DetectWithin)
}

// missing looks after what the server does not acknowledge while it acknowledges later ones: it says so, and asks for a planned
// re-dial when the oldest is overdue. Exception: a server that acknowledged none of what callers sent on this session, though it
// acknowledges our state, is left like one that acknowledges nothing.
func (la *lateness) missing(now time.Time) {
	if !la.s.up.is {
		return
	}
	p, pace := waitsOf(la.s.l.o.DetectWithin), &la.s.l.missing[la.s.i]
	m := la.s.window.look(now, p)
	la.say(m, pace, now)
	m.until(pace.Over(now))
	m.until(la.ask(m, p, now))
	if _, wanted := la.s.redial.requested(); !wanted && (m.again || m.full) {
		wait := max(m.left, pace.Wait(now))
		if m.full && m.acked >= missingWorth {
			wait = 0
		}
		switch m.until(wait); {
		case m.callers && !m.served:
			_ = la.s.conn.fail(la.ackFault(la.s.l.o.DetectWithin - m.left))
		case wait <= 0:
			pace.Redialed(now)
			la.s.redial.request(redial{to: la.s.i, missing: true})
		}
	}
	if la.lookAt = (time.Time{}); m.next > 0 {
		la.lookAt = now.Add(m.next)
	}
}

// say is what is known of missing publishes, in Why, once for each change.
func (la *lateness) say(m missing, pace *backoff.Missing, now time.Time) {
	began, over := pace.Seen(now, m.now > 0, m.fresh)
	if la.told && !began && !over && m.fresh == 0 {
		return
	}
	la.told = true
	la.s.l.health.missing(pace.Why(la.s.e.Name), int64(m.fresh))
	switch {
	case began:
		la.s.l.health.notify(EventUnacknowledged, la.s.e.Name, pace.Why(la.s.e.Name), la.s.info.Number, now)
	case over:
		la.s.l.health.notify(EventAcknowledged, la.s.e.Name, "all publishes are acknowledged again", la.s.info.Number, now)
	}
}

// ask publishes our state again when nothing was acknowledged for a while on a connection that is alive, with nothing to follow
// that might be: so one publish that the server does not acknowledge is told from a server that acknowledges none. It returns
// when to call it again; 0: when something changes.
func (la *lateness) ask(m missing, p waits, now time.Time) time.Duration {
	switch {
	case m.owed == 0, la.asked == m.acked, la.s.l.o.StateTopic == "":
		return 0
	case m.owed < p.said:
		return p.said - m.owed
	}
	la.s.guarded.Lock()
	alive := now.Sub(la.s.guarded.heard) < m.owed
	la.s.guarded.Unlock()
	if !alive {
		return missingMay
	}
	la.asked = m.acked
	_, _ = la.s.window.queue(la.s.state.message(la.s.state.birth), nil)
	return 0
}

// checkServer is nil when the server answers CONNECT, with any code, on a fresh connection by the same address and interface:
// another interface would say nothing about this one.
func (l *Link) checkServer(ctx context.Context, e *netdial.Endpoint, p netdial.Path) error {
	password, err := e.ReadPassword()
	if err != nil {
		return err
	}
	s, err := l.dialer.OpenOn(ctx, e, CauseProbe, p)
	if err != nil {
		return err
	}
	c := client.New(s, client.Options{Limit: l.o.MaxPacket, Socket: s.Raw})
	defer c.Close()
	if _, err := c.Connect(ctx, codec.CheckConnect(l.o.ClientID, e.Username, password), l.dialer.HandshakeTime()); err != nil {
		return err
	}
	return c.Disconnect()
}
