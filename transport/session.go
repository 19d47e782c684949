package transport

import (
	"context"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/linkbeat/linkbeat/transport/faults"
	"github.com/linkbeat/linkbeat/transport/heartbeat"
	"github.com/linkbeat/linkbeat/transport/internal/client"
	"github.com/linkbeat/linkbeat/transport/internal/terms"
	"github.com/linkbeat/linkbeat/transport/netdial"
)

// session is one connection, from CONNECT to its end: one client of the library, one conn, one window. Its run is called once by
// the link's loop, and everything that may block is on other goroutines. What belongs together stands in a struct of its own; all
// but life, the window and guarded are the loop's alone. Exceptions: stream and conn, and what is set before whoever reads it
// begins: the library's client, and the birth, held and before of state.
type session struct {
	sessionParams
	stream *netdial.Stream
	conn   *conn
	window *window

	life    life
	up      uptime
	library library
	late    lateness
	state   announcer
	redial  redialing
	route   rerouting

	guarded guarded
	taken
}

// taken is what the reader of a session, and nothing else, knows of what came in.
type taken struct {
	unasked client.Unasked
	resumed client.Resumed // of QoS 2, of an earlier session or of a server that gives more than was asked for
}

// sessionParams are what a session is made with; immutable.
type sessionParams struct {
	l         *Link
	i         int // of e, among the link's
	e         *netdial.Endpoint
	info      Session
	stableFor time.Duration // after so long without trouble, what is held against its server is forgotten
	planned   bool          // it replaced another one on purpose
	keepalive time.Duration // of its CONNECT
	asks      terms.Set     // for what it asks the server
}

// life is what the goroutines of a session wait for.
type life struct {
	ctx    context.Context    // of what runs beside the loop
	cancel context.CancelFunc // of ctx
	ended  chan struct{}      // closed at the end of the conn
	wake   chan struct{}      // a deadline has changed: the loop must set its timer again
}

// wakeUp wakes the loop after a deadline has changed. It never blocks.
func (lf *life) wakeUp() {
	select {
	case lf.wake <- struct{}{}:
	default:
	}
}

// uptime is how far a session has come; of the loop.
type uptime struct {
	is        bool
	deadline  time.Time // of becoming up: after it the session is given up
	since     time.Time
	calmSince time.Time // since then there was no sign of another client with our id
	stable    bool      // calm for stableFor
}

// newSession makes a session over a stream to server i. Nothing is sent yet: begin does that.
func (l *Link) newSession(stream *netdial.Stream, i int, info Session, stableFor time.Duration, password string,
	planned bool) *session {
	e := l.endpoints[i]
	interval, keepalive := l.learner.Begin(e, stream.Path(), planned)
	asks, trying := l.terms.Next(i)
	if keepalive = l.terms.keepalive(e, keepalive, asks, trying); interval > keepalive {
		interval = keepalive
	}
	s := &session{
		sessionParams: sessionParams{l: l, i: i, e: e, info: info, stableFor: stableFor, planned: planned, keepalive: keepalive,
			asks: asks},
		stream: stream, window: newWindow(l.o.Window),
		life: life{ended: make(chan struct{}), wake: make(chan struct{}, 1)},
		up:   uptime{deadline: time.Now().Add(l.dialer.HandshakeTime())},
	}
	s.life.ctx, s.life.cancel = context.WithCancel(context.Background())
	s.window.wake = s.life.wakeUp
	s.late = lateness{s: s, results: make(chan error, 1), asked: -1}
	s.state = announcer{s: s, seen: make(chan seenState, stateBacklog), gap: announceMin, told: newTelling()}
	s.redial = redialing{s: s, results: make(chan standby, 1),
		spread: time.Duration(l.o.Rand() * returnSpread * float64(l.o.DetectWithin))}
	s.route = rerouting{s: s}
	s.guarded.beat = heartbeat.New(heartbeat.Options{Interval: interval, DetectWithin: l.o.DetectWithin, Keepalive: keepalive})
	s.conn = newConn(stream, s, l.o, keepalive, s.readPatience)
	s.library = library{s: s, done: make(chan struct{})}
	s.library.client = mqtt.NewClient(s.library.options(password))
	return s
}

// begin sends CONNECT and subscribes, in the background.
func (s *session) begin() {
	s.library.begun = true
	s.l.group.Go(s.conn.writer)
	s.l.group.Go(s.library.publish)
	s.l.group.Go(s.library.setup)
}

// run serves the session until it ends by itself, or until ctx is done, and then ends it in order. It returns how it ended.
func (s *session) run(ctx context.Context) (faults.Verdict, error) {
	if !s.library.begun {
		s.begin()
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	done := s.library.done
	for {
		select {
		case <-s.life.ended:
			return s.verdict(time.Now())
		case <-ctx.Done():
			s.shutdown()
			return faults.Verdict{Kind: faults.OutcomeStopped, Up: s.up.is}, nil
		case <-timer.C:
		case <-s.life.wake:
		case <-done:
			done = nil
			s.established(time.Now())
		case st := <-s.state.seen:
			s.state.saw(st, time.Now())
		case err := <-s.late.results:
			s.late.checked(err, time.Now())
		case sp := <-s.redial.results:
			s.redial.prepared(sp, time.Now())
		}
		now := time.Now()
		if s.step(now); s.redial.ready(now) {
			s.endForNext()
			return faults.Verdict{Kind: faults.OutcomePlanned, Up: true}, nil
		}
		timer.Reset(max(0, s.due().Sub(now)))
	}
}

// step does what is due.
func (s *session) step(now time.Time) {
	s.guarded.Lock()
	changed := s.guarded.changed
	s.guarded.changed = false
	s.guarded.Unlock()
	if changed {
		s.route.look(now)
	}
	s.beatStep(now)
	s.late.step(now)
	s.late.unacknowledged(now)
	s.late.missing(now)
	s.redial.consider(now)
	if !s.up.is && !now.Before(s.up.deadline) {
		_ = s.conn.fail(&faults.Fault{Kind: faults.OutcomeSilence, Msg: s.setupTimeout()})
	}
	if s.up.is && !s.up.stable && now.Sub(s.up.calmSince) >= s.stableFor {
		s.up.stable, s.state.gap = true, announceMin
		s.l.health.stable()
	}
	if !s.state.at.IsZero() && !now.Before(s.state.at) {
		s.state.announce(now)
	}
	if at := s.l.terms.due(s); !at.IsZero() && !now.Before(at) {
		s.l.terms.lived(s, now)
	}
}

// due is when step must be called next.
func (s *session) due() time.Time {
	s.guarded.Lock()
	defer s.guarded.Unlock()
	at := s.guarded.beat.Wake()
	if !at.IsZero() {
		at = heartbeat.Later(at, s.guarded.report.until)
	}
	consider := func(t time.Time) {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	consider(s.state.at)
	consider(s.l.terms.due(s))
	consider(s.late.ackAt())
	consider(s.late.lookAt)
	consider(s.redial.due())
	if !s.up.is {
		consider(s.up.deadline)
	} else if !s.up.stable {
		consider(s.up.calmSince.Add(s.stableFor))
	}
	if s.guarded.late && !s.late.answered.IsZero() {
		consider(s.late.verdictAt(s.guarded.unansweredSince))
	} else if s.guarded.late && !s.late.checking {
		consider(s.late.after)
	}
	s.guarded.armed = at
	return at
}

// established is called once, when subscriptions are answered and the birth is queued.
func (s *session) established(now time.Time) {
	s.up.is, s.up.since, s.up.calmSince = true, now, now
	if d := s.l.o.MaxSession; d > 0 {
		s.redial.renewAt = now.Add(time.Duration(float64(d) * (1 - renewJitter + 2*renewJitter*s.l.o.Rand())))
	}
	if s.state.held && s.l.o.StateTopic != "" {
		s.l.group.Go(s.state.lateBirth)
	}
	s.l.health.attach(s, now)
	s.route.look(now)
}
