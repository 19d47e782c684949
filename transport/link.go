package transport

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/linkbeat/linkbeat/transport/backoff"
	"github.com/linkbeat/linkbeat/transport/faults"
	"github.com/linkbeat/linkbeat/transport/internal/learn"
	"github.com/linkbeat/linkbeat/transport/internal/terms"
	"github.com/linkbeat/linkbeat/transport/netdial"
)

// Link keeps one MQTT session open. Make it with New, give it its handlers, then call Run once. All other methods are safe for
// concurrent use, before, during and after Run.
type Link struct {
	o         Options             // immutable
	endpoints []*netdial.Endpoint // immutable
	routes    []route             // immutable once Run was called
	backoff   *backoff.Schedule   // of Run
	stopped   chan struct{}
	wake      chan struct{}  // Routed was called
	retry     chan struct{}  // Retry was called
	group     sync.WaitGroup // every goroutine that we started

	trying  chan struct{} // of Trials: one at a time
	mute    muting
	learner *learn.Learner
	terms   granted
	dialer  *netdial.Dialer

	reroute    rerouted // of Run: the last change of the source address that was followed
	reroutedAt time.Time
	standby    *standby // of Run: the prepared connection of a planned re-dial; nil: none

	health  health
	missing []backoff.Missing // of the session's loop: by server
}

// New returns a Link that Run will connect. It opens nothing.
func New(o Options) (*Link, error) {
	o = o.withDefaults()
	errs := []error{o.validate()}
	ranks := o.rank()
	l := &Link{
		o: o, stopped: make(chan struct{}), wake: make(chan struct{}, 1), retry: make(chan struct{}, 1),
		trying:  make(chan struct{}, 1),
		backoff: backoff.New(o.Backoff, ranks, o.DetectWithin, o.Rand),
		dialer: netdial.New(netdial.Options{DetectWithin: o.DetectWithin, Floor: o.Floor, Interfaces: o.Interfaces,
			Proxy: o.Proxy, Dial: o.Dial}),
	}
	l.health = health{l: l, ready: make(chan struct{}), takeover: backoff.NewTakeover(),
		failures: map[int]string{}, losses: map[Loss]int64{},
		status: Status{State: StateDown, Since: time.Now(), Interval: o.Interval, Window: o.Window}}
	var names []string
	for _, s := range o.Servers {
		e, err := netdial.NewEndpoint(s)
		errs, names = append(errs, err), append(names, s.URL.Name())
		l.endpoints = append(l.endpoints, e)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	wants, doubt := o.terms()
	l.terms = granted{terms.NewBook(names, wants, doubt, o.Refused, time.Now()), l}
	for i := range l.endpoints {
		l.terms.capKeepalive(i)
	}
	l.health.trouble.down = "not connected yet"
	l.health.status.Server = l.endpoints[0].Name
	secure := slices.ContainsFunc(l.endpoints, func(e *netdial.Endpoint) bool { return e.Scheme.TLS })
	l.missing = make([]backoff.Missing, len(l.endpoints))
	l.learner = learn.New(o.Learning, learn.Env{Interval: o.Interval, Keepalive: o.Keepalive, AdaptKeep: o.AdaptKeep,
		Secure: secure, Dialer: l.dialer, Go: l.group.Go, Rand: o.Rand, Foreign: l.health.foreign})
	if topic := l.learner.PairTopic(); topic != "" {
		l.HandleAs(CauseProbe, topic, func(m Message, retained bool) {
			l.learner.PairHeard(m.Payload, m.Size, retained, func() { l.dialer.Counter.Refuse(CauseProbe, m.Size) })
		})
	}
	return l, nil
}

// Run keeps the link until ctx is done, then lets what is in flight arrive, says online:false, disconnects, within about 2 s,
// and returns nil. It is called once.
func (l *Link) Run(ctx context.Context) error {
	l.group.Go(func() { l.learner.Run(ctx) })
	if l.o.Dial == nil {
		l.group.Go(func() { l.watch(ctx) })
	}
	for i := 0; !done(ctx); {
		v := l.attempt(ctx, i)
		if v.Up { // a Retry that was called before is done with
			drained(l.retry)
		}
		if l.standby != nil {
			i = l.standby.to
		} else if !done(ctx) && v.Kind != faults.OutcomeLower {
			next, at := l.backoff.Failed(time.Now(), i, v)
			i = l.pause(ctx, i, next, at)
		}
	}
	if l.standby != nil { // stopped in the middle of a planned re-dial
		l.standby.close()
	}
	l.health.mu.Lock()
	l.health.setState(StateDown, l.health.status.Server)
	l.health.trouble = troubles{down: "stopped"}
	l.health.next = time.Time{}
	l.health.mu.Unlock()
	close(l.stopped)
	l.group.Wait()
	return nil
}

func done(ctx context.Context) bool { return ctx.Err() != nil }

// Routed is called after the routes of the machine changed: an attempt that waits only because no server answered is made at
// once.
func (l *Link) Routed() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// routedLeast is the least time between two attempts that changes of the network bring forward: on some machines routes change
// all the time.
const routedLeast = 5 * time.Second

// watch acts on changes of the network at once: they are checked, not waited for.
func (l *Link) watch(ctx context.Context) {
	var mu sync.Mutex
	var last time.Time // time that a change brought an attempt forward
	later := time.AfterFunc(time.Hour, l.Routed)
	later.Stop()
	defer later.Stop()
	err := netdial.Watch(ctx, func() {
		mu.Lock()
		now := time.Now()
		wait := max(0, routedLeast-now.Sub(last))
		if wait == 0 {
			last = now
		}
		later.Reset(wait) // counted from the last change
		mu.Unlock()
		if s, _ := l.health.current(); s != nil {
			s.guarded.Lock()
			s.guarded.changed = true
			s.guarded.Unlock()
			s.life.wakeUp()
		}
	})
	if err != nil {
		why := fmt.Sprintf("cannot watch interfaces and routes, so changes are noticed late: %v", err)
		l.health.notify(EventNetWatchFailed, "", why, 0, time.Now())
	}
}

// Retry is called after a person repaired something: the next attempt is made at once, whatever is held against the servers.
// While a session is up it changes nothing.
func (l *Link) Retry() {
	select {
	case l.retry <- struct{}{}:
	default:
	}
}

// Reconnect is called when a person wants another connection, and returns when there is one. While a session is up a planned
// re-dial replaces it: nothing is lost, and where the new connection fails the session goes on and the error says why. While none
// is up it is as Retry. The error is that of ctx when it ends first; what was asked for is done all the same.
func (l *Link) Reconnect(ctx context.Context) (planned bool, err error) {
	s, _ := l.health.current()
	if s == nil {
		l.Retry()
	} else {
		failed := make(chan error, 1)
		s.redial.ask(failed)
		select {
		case err := <-failed:
			return true, err
		case <-s.life.ended:
		case <-ctx.Done():
			return true, ctx.Err()
		}
	}
	select {
	case <-l.Ready():
		return s != nil, nil
	case <-ctx.Done():
	case <-l.stopped:
		return s != nil, ErrStopped
	}
	return s != nil, ctx.Err()
}

func drained(c <-chan struct{}) {
	select {
	case <-c:
	default:
	}
}

// filesEvery is how often the files of TLS and password are looked at: a change ends the waiting.
const filesEvery = 5 * time.Second

// pause waits until server next may be dialled, and returns which one is.
func (l *Link) pause(ctx context.Context, last, next int, at time.Time) int {
	timer := time.NewTimer(0)
	defer timer.Stop()
	before := l.endpoints[last].Fingerprint()
	for {
		now := time.Now()
		if !at.After(now) {
			return next
		}
		l.health.waiting(next, at)
		timer.Reset(min(at.Sub(now), filesEvery))
		select {
		case <-ctx.Done():
			return next
		case <-timer.C:
			if l.endpoints[last].Fingerprint() != before { // a person repaired something
				next, at = l.backoff.Reset(time.Now())
			}
		case <-l.wake:
			next, at = l.backoff.Routed(time.Now(), last)
		case <-l.retry:
			next, at = l.backoff.Reset(time.Now())
		}
	}
}

// attempt dials server i and serves the session until it ends.
func (l *Link) attempt(ctx context.Context, i int) faults.Verdict {
	e := l.endpoints[i]
	l.health.mu.Lock()
	if l.standby == nil || l.standby.session == nil {
		l.health.setState(StateDialing, e.Name)
	}
	info := Session{Number: l.health.status.Sessions + 1, Server: e.Name, Since: time.Now()}
	l.health.mu.Unlock()
	v, err := l.serve(ctx, i, e, info)
	switch {
	case done(ctx), v.Kind == faults.OutcomeLower && !v.Up:
	case v.Kind == faults.OutcomeLower: // a trial that ended
		l.health.redialed()
	case v.Kind == faults.OutcomePlanned:
		l.health.redialed()
	default:
		l.health.ended(i, e, info, v, err)
	}
	return v
}

func (l *Link) serve(ctx context.Context, i int, e *netdial.Endpoint, info Session) (faults.Verdict, error) {
	failed := func(err error) (faults.Verdict, error) {
		f := faults.Of(err, time.Now())
		return faults.Verdict{Kind: f.Kind}, f
	}
	sp, planned := l.standby, l.standby != nil
	if l.standby = nil; !planned {
		sp = &standby{}
	}
	s := sp.session
	if s == nil {
		password, err := e.ReadPassword()
		if err == nil && !planned {
			sp.stream, err = l.dialer.Open(ctx, e, netdial.CauseHandshake)
		}
		if err != nil {
			sp.close()
			return failed(err)
		}
		s = l.newSession(sp.stream, i, info, l.backoff.StableAfter(i), password, planned)
	}
	v, err := s.run(ctx)
	l.standby, v = s.redial.take(v)
	switch v.Kind {
	case faults.OutcomePlanned, faults.OutcomeStopped, faults.OutcomeLower:
	default:
		if l.terms.ended(s, v, time.Now()) {
			v.Kind = faults.OutcomeLower
		}
	}
	l.updateCooldowns(s, v)
	l.health.detach(s)
	if err != nil {
		s.window.fail(blame(v, err))
	}
	if v.Kind != faults.OutcomePlanned {
		l.learner.Down(mainLink{s}, v)
	}
	return v, err
}

// Ready returns a channel that is closed while the link is up; after a loss it returns a new one.
func (l *Link) Ready() <-chan struct{} {
	l.health.mu.Lock()
	defer l.health.mu.Unlock()
	return l.health.ready
}

// Status is the truth of now.
func (l *Link) Status() Status {
	l.health.mu.Lock()
	st, s, trouble, next := l.health.status, l.health.session, l.health.trouble, l.health.next
	st.Losses = maps.Clone(l.health.losses)
	st.Denied = append([]string(nil), trouble.denied...)
	trouble.interfaces = l.dialer.Interfaces.Why()
	trouble.takeover = l.health.takeover.Why(l.o.ClientID, l.o.StateTopic)
	l.health.mu.Unlock()
	st.Oversized, st.Unacknowledged = l.health.oversized.Load(), l.health.unacknowledged.Load()
	st.Pings, st.Ignored, st.Bytes = l.health.pings.Load(), l.health.ignored.Load(), l.dialer.Counter.Read()
	if s != nil {
		st.InFlight, st.Keepalive = s.window.inFlight(), s.keepalive
		st.Throughput = netdial.Throughput(s.stream.Raw.Conn)
		st.Interface, st.Expiry = s.stream.Interface, s.e.Expires()
	}
	st.Heartbeat, trouble.learning = l.learner.Status()
	if wait := time.Until(next); st.State == StateDown && wait > 0 {
		trouble.down += fmt.Sprintf("; next attempt at %s in %v", st.Server, wait.Round(100*time.Millisecond))
	}
	for i, e := range l.endpoints {
		if e.Name == st.Server && trouble.terms == "" {
			trouble.terms = l.terms.Why(i)
		}
	}
	st.LeftOut, st.Why = trouble.terms, trouble.sentence()
	return st
}

// SetBudgetLevel changes what the link may spend. Safe for concurrent use.
func (l *Link) SetBudgetLevel(f BudgetLevel) {
	if !l.learner.SetLevel(f) || l.learner.On() {
		return
	}
	if s, _ := l.health.current(); s != nil {
		mainLink{s}.SetInterval(l.learner.Idle())
	}
}
