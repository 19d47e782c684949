package transport

import (
	"context"
	"fmt"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/linkbeat/linkbeat/transport/faults"
	"github.com/linkbeat/linkbeat/transport/heartbeat"
	"github.com/linkbeat/linkbeat/transport/netdial"
)

const (
	stateBacklog  = 8 // payloads of the state topic that wait for the loop
	announceMin   = 5 * time.Second
	announceMax   = 5 * time.Minute
	libraryTime   = time.Second             // after which a call of the library that nobody takes up returns
	drainTime     = 1200 * time.Millisecond // of the 2 s that an end in order may take: what is in flight
	offlineTime   = 400 * time.Millisecond  // online:false
	goodbyeTime   = 400 * time.Millisecond  // DISCONNECT, and the server's FIN
	stateQoS      = 1
	subscribeQoS  = 1
	forgotWithin  = 5 * time.Second // of a beat, a fresh connection was answered: there was no outage
	reportTime    = time.Second
	watchdogSpare = 2   // the read watchdog leaves the beat this many times detect_within
	returnSpread  = 0.5 // of detect_within
	renewJitter   = 0.1 // of max_session
)

// session is one connection, from CONNECT to its end: one client of the library, one conn, one flight. Its run is called
// once by the link's loop, and everything that may block is on other goroutines.
type session struct {
	l         *Link
	i         int // of e, among the link's
	e         *netdial.Endpoint
	info      Session
	birth     []byte
	stableFor time.Duration
	planned   bool          // it replaced another one on purpose
	candidate bool          // set up while another session goes on: its birth is published when it takes over
	before    chan struct{} // of a candidate: closed when the one before has said that it is offline
	spread    time.Duration // that it looks later than others for a better server
	keepalive time.Duration // of its CONNECT

	stream *netdial.Stream
	conn   *conn
	client mqtt.Client
	flight *flight

	lost   chan struct{}      // closed by over
	kick   chan struct{}      // the loop must look at its deadlines again
	done   chan struct{}      // closed after subscriptions were answered and the birth queued
	states chan seenState     // what others said on the state topic
	checks chan error         // results of check
	spare  chan spare         // result of prepare
	cancel context.CancelFunc // of checks and setup
	ctx    context.Context

	// of the loop
	isUp, isStable bool
	upSince        time.Time
	calmSince      time.Time // since then nothing pointed to another client
	setupBy        time.Time
	checking       bool
	checkAfter     time.Time // no check before
	slow           time.Time // when an overdue acknowledgement was found to be on a path that still moves
	answered       time.Time // when a fresh connection answered in this lateness
	announceAt     time.Time
	announceGap    time.Duration
	next           *spare    // that a planned re-dial will go on with
	nextBy         time.Time // at the latest, however busy the session is
	preparing      bool
	renewAt        time.Time // max_session; zero: never
	lookAt         time.Time // when the ways out are looked at again; zero: after the next change
	wayTo          string    // the better interface
	wayAt          time.Time // when a better interface is tried; zero: there is none
	begun          bool

	mu         sync.Mutex
	beat       *heartbeat.Beat
	armed      time.Time // when the loop wakes
	accepted   bool      // CONNACK came
	beats      int       // that were due
	speechless bool      // there was nothing to report
	reporting  time.Time // until then the report may take to be written, and a ping is not missed
	isLate     bool      // written by the loop only
	heard      time.Time // last packet
	asked      time.Time // first unanswered packet; zero: none
	askedBy    bool      // and it was a beat
	cause      error
	wanted     *move // nil: no re-dial
	changed    bool  // the network did
}

type seenState struct {
	payload  []byte
	retained bool
}

func (l *Link) newSession(s *netdial.Stream, i int, info Session, stableFor time.Duration, password string, planned bool) *session {
	e := l.endpoints[i]
	ctx, cancel := context.WithCancel(context.Background())
	interval, keepalive := l.learner.Begin(e, s.Path(), planned)
	se := &session{
		planned: planned, keepalive: keepalive, spare: make(chan spare, 1), spread: time.Duration(l.o.Rand() * returnSpread * float64(l.o.DetectWithin)),
		l: l, i: i, e: e, info: info, stableFor: stableFor, stream: s, flight: newFlight(l.o.Window),
		lost: make(chan struct{}), kick: make(chan struct{}, 1), done: make(chan struct{}),
		states: make(chan seenState, stateBacklog), checks: make(chan error, 1), ctx: ctx, cancel: cancel,
		setupBy:     time.Now().Add(l.dialer.HandshakeTime()),
		announceGap: announceMin,
		beat:        heartbeat.New(heartbeat.Options{Interval: interval, DetectWithin: l.o.DetectWithin, Keepalive: keepalive}),
	}
	se.conn = newConn(s, se, l.o, keepalive, se.silence)
	se.client = mqtt.NewClient(se.clientOptions(password))
	return se
}

// silence is the read watchdog's patience.
func (s *session) silence() time.Duration {
	longest := s.keepalive // the beat may grow while we wait
	if !s.l.learner.On() {
		longest = min(longest, max(s.l.o.Interval, s.l.o.Learning.Max))
	}
	return s.l.dialer.HandshakeTime() + longest + watchdogSpare*s.l.o.DetectWithin
}

// begin connects and subscribes, in the background.
func (s *session) begin() {
	s.begun = true
	s.l.group.Go(s.conn.writer)
	s.l.group.Go(s.publisher)
	s.l.group.Go(s.setup)
}

// run serves the session until it is lost, or ctx is done and it was ended in order. It returns how it ended.
func (s *session) run(ctx context.Context) (faults.Verdict, error) {
	if !s.begun {
		s.begin()
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	done := s.done
	for {
		select {
		case <-s.lost:
			return s.ended(time.Now())
		case <-ctx.Done():
			s.shutdown()
			return faults.Verdict{Kind: faults.OutcomeStopped, Up: s.isUp}, nil
		case <-timer.C:
		case <-s.kick:
		case <-done:
			done = nil
			s.up(time.Now())
		case st := <-s.states:
			s.stateSeen(st, time.Now())
		case err := <-s.checks:
			s.checked(err, time.Now())
		case sp := <-s.spare:
			s.prepared(sp, time.Now())
		}
		now := time.Now()
		if s.step(now); s.mayMove(now) {
			s.move()
			return faults.Verdict{Kind: faults.OutcomePlanned, Up: true}, nil
		}
		timer.Reset(max(0, s.wake().Sub(now)))
	}
}

// step does what is due.
func (s *session) step(now time.Time) {
	s.mu.Lock()
	changed := s.changed
	s.changed = false
	s.mu.Unlock()
	if changed {
		s.lookAtWays(now)
	}
	s.beatStep(now)
	s.lateness(now)
	s.unacknowledged(now)
	s.consider(now)
	if !s.isUp && !now.Before(s.setupBy) {
		_ = s.conn.fail(&faults.Fault{Kind: faults.OutcomeSilence, Msg: s.setupSilence()})
	}
	if s.isUp && !s.isStable && now.Sub(s.calmSince) >= s.stableFor {
		s.isStable, s.announceGap = true, announceMin
		s.l.stable()
	}
	if !s.announceAt.IsZero() && !now.Before(s.announceAt) {
		s.announce(now)
	}
}

// wake is when step must be called next.
func (s *session) wake() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.beat.Wake()
	if !at.IsZero() {
		at = later(at, s.reporting)
	}
	consider := func(t time.Time) {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	consider(s.announceAt)
	consider(s.ackAt())
	consider(s.considerAt())
	if !s.isUp {
		consider(s.setupBy)
	} else if !s.isStable {
		consider(s.calmSince.Add(s.stableFor))
	}
	if s.isLate && !s.answered.IsZero() {
		consider(s.verdictAt())
	} else if s.isLate && !s.checking {
		consider(s.checkAfter)
	}
	s.armed = at
	return at
}

// rearm wakes the loop when it sleeps past the beat's next deadline. mu is held.
func (s *session) rearm() {
	if w := s.beat.Wake(); !w.IsZero() && (s.armed.IsZero() || w.Before(s.armed)) {
		s.poke()
	}
}

func (s *session) poke() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

func (s *session) beatStep(now time.Time) {
	s.mu.Lock()
	if s.beat.Due(now) && s.reports(now) {
		s.mu.Unlock()
		return
	}
	action := s.beat.Step(now)
	if action == heartbeat.Ping {
		s.ask(now, true)
	}
	s.l.observe(s.beat.Interval(), s.beat.SRTT())
	s.mu.Unlock()
	switch action {
	case heartbeat.Ping:
		s.l.pings.Add(1)
		s.conn.ping()
	case heartbeat.GiveUp:
		_ = s.conn.fail(s.silent())
	}
}

// ask notes the first packet that is not answered. mu is held.
func (s *session) ask(now time.Time, beat bool) {
	if s.asked.IsZero() {
		s.asked, s.askedBy = now, beat
	}
	if !beat {
		s.askedBy = false
	}
}

// setupSilence says what the server did not do in time.
func (s *session) setupSilence() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.accepted {
		return "server did not answer SUBSCRIBE in time"
	}
	return "server did not answer CONNECT in time"
}

// up is called once, when subscriptions are answered and the birth is queued.
func (s *session) up(now time.Time) {
	s.isUp, s.upSince, s.calmSince = true, now, now
	if d := s.l.o.MaxSession; d > 0 {
		s.renewAt = now.Add(time.Duration(float64(d) * (1 - renewJitter + 2*renewJitter*s.l.o.Rand())))
	}
	if s.candidate && s.l.o.StateTopic != "" {
		s.l.group.Go(s.lateBirth)
	}
	s.l.attach(s, now)
	s.lookAtWays(now)
}

// lateBirth announces a candidate after the one before it said that it is offline: they may share the topic.
func (s *session) lateBirth() {
	select {
	case <-s.before:
	case <-s.lost:
		return
	case <-time.After(drainTime + offlineTime + goodbyeTime):
	}
	_, _ = s.flight.send(s.ctx, s.stateMessage(s.birth))
}

// ended says how a lost session ended.
func (s *session) ended(now time.Time) (faults.Verdict, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := faults.Of(s.cause, now)
	v := faults.Verdict{Kind: f.Kind, Loss: f.Noticed(), Up: s.isUp}
	if s.isUp {
		v.Lasted = now.Sub(s.upSince)
	}
	if f.Kind == faults.OutcomeSilence || f.Kind == faults.OutcomeLost {
		v.Idle = s.askedBy
		if s.isUp && !s.asked.IsZero() {
			s.l.detected(now.Sub(s.asked))
		}
	}
	// A reset that answers a beat comes from a NAT that forgot us, not from the server.
	if f.Kind == faults.OutcomeClosed && s.isUp && s.askedBy && faults.IsReset(s.cause) {
		v.Kind, v.Loss, v.Idle = faults.OutcomeSilence, faults.LossMapping, true
	}
	v.Forgotten = v.Idle && s.isUp && (f.Kind == faults.OutcomeLost && s.answered.Sub(s.asked) < forgotWithin || faults.IsReset(s.cause) && now.Sub(s.asked) < forgotWithin)
	if v.Kind == faults.OutcomeClosed && s.isUp {
		f = &faults.Fault{Kind: f.Kind, Err: f.Err, Msg: fmt.Sprintf("%s after %v", f.Msg, v.Lasted.Round(time.Millisecond))}
	}
	if v.Kind == faults.OutcomeClosed && !s.accepted {
		f = &faults.Fault{Kind: f.Kind, Err: f.Err, Msg: f.Msg + s.closedEarly()}
	}
	return v, f
}

// closedEarly helps with a server that closes before CONNACK. In TLS 1.3 it judges our certificate only then, and the RST that
// follows may swallow its alert.
func (s *session) closedEarly() string {
	if s.e.Secure {
		return " before it answered CONNECT: see its log; it may not accept our certificate"
	}
	return " before it answered CONNECT: see its log"
}

// shutdown ends the session in order: what is in flight gets a while, then online:false, DISCONNECT.
func (s *session) shutdown() {
	s.flight.stop()
	s.l.detach(s)
	if s.isAccepted() { // also before it is up: the birth may be on its way
		s.sayOffline()
		s.l.group.Go(s.conn.goodbye) // which waits while a write is stuck
		select {
		case <-s.lost: // the server closed its half too
		case <-time.After(goodbyeTime):
		}
	}
	_ = s.conn.Close()
	s.flight.fail(ErrStopped)
}

// sayOffline lets what is in flight arrive, then publishes the offline state.
func (s *session) sayOffline() {
	drain, cancel := context.WithTimeout(context.Background(), drainTime)
	s.flight.drained(drain)
	cancel()
	if s.l.o.StateTopic == "" {
		return
	}
	a, err := s.flight.last(s.stateMessage(s.l.o.State(false, s.info)))
	if err != nil {
		return
	}
	select {
	case <-a.Done():
	case <-s.lost:
	case <-time.After(offlineTime):
	}
}

func (s *session) stateMessage(payload []byte) Message {
	return Message{Topic: s.l.o.StateTopic, Payload: payload, QoS: stateQoS, Retain: true, Cause: netdial.CauseHandshake}
}

// later is the later of two times.
func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
