// Package delivery knows which topics of a gateway the server delivers, and holds back what it does not. A PUBACK says nothing
// about that where access rules make a broker throw away what it acknowledged (mosquitto#547, emqx#368), so each topic that is
// used is asked about on a trial beside the link (transport.Trials): once for each login at each server, which is kept
// over restarts; then only what is denied, less and less often.
//
//	new      held until its verdict, 10 s at most
//	ok       published
//	denied   held, tried again after 5 minutes growing to 1 h, at a reconnect that we did not ask for, and when a person says so
//	unknown  published; a person is told where nobody can tell
//
// The same goes for messages that are larger than what the server takes: see sizes.go.
//
// Deciding is pure: book.go and sizes.go have what is known and when to ask, fill.go when a spool is full, sentence.go what a
// person reads. The rest is thin.
package delivery

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/linkbeat/linkbeat/agent/supervise"
	"github.com/linkbeat/linkbeat/transport"
)

const (
	trialTime = time.Minute
	sampleGap = time.Minute // between two looks at how much waits, while something is held
)

// Link is what asks; a transport.Trials is one.
type Link interface {
	Using() (u transport.Using, up bool)
	Ready() <-chan struct{}
	Deliverable(ctx context.Context, topics []transport.EchoTopic, probe string, state transport.EchoTopic) (
		[]transport.EchoResult, error)
	Size(ctx context.Context, q transport.SizeQuestion) transport.SizeAnswer
}

// Memory keeps verdicts over restarts, by login at a server and topic. Safe for concurrent use.
type Memory interface {
	Verdicts(login string) (all map[string]string, at time.Time)
	KeepVerdicts(login string, all map[string]string)
}

// Backlog is what waits in the spools.
type Backlog struct {
	Records map[string]int64 // that wait, by topic
	Bytes   int64
	Most    int64 // bytes that there is room for; 0: not known
}

// Options of New. All are required but those that say otherwise.
type Options struct {
	Link   Link
	Memory Memory
	Topics []transport.EchoTopic                               // that are used; see Use
	Gone   func(topic string) (t transport.EchoTopic, ok bool) // one of ours that is not among them: of a device that is gone
	Probe  string                                              // the control
	State  transport.EchoTopic
	Advice Advice // for the sentences

	Exhausted func() bool          // no trial may be paid for
	Affords   func(bytes int) bool // whether a trial of a size may be paid for; it is then. Nil: each may
	Backlog   func() Backlog
	Log       zerolog.Logger
	Now       func() time.Time // nil: time.Now
}

// Keeper holds back what the server in use denies. Make one with New, and run it once. Safe for concurrent use. With mu locked it
// asks no spool and writes no log: who asks whether something is held has a spool locked, in which devices' records are put.
type Keeper struct {
	o       Options
	changed chan struct{} // capacity 1
	kick    chan struct{} // capacity 1

	mu      sync.Mutex
	topics  []transport.EchoTopic
	pages   map[string]*page // by login; one for each server of the configuration
	login   string           // in use; empty: there was no session yet
	user    string           // of it
	server  string
	session int64
	trial   *sizeTrial // nil: none
	fill    fill
	told    string // what was held when the pump was told last
	stale   bool   // something may be held since, and be held no more before anybody has seen that
}

// New returns a Keeper that knows nothing but what was stored.
func New(o Options) *Keeper {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Affords == nil {
		o.Affords = func(int) bool { return true }
	}
	return &Keeper{o: o, changed: make(chan struct{}, 1), kick: make(chan struct{}, 1), topics: o.asked(o.Topics),
		pages: map[string]*page{}}
}

// Held tells whether what goes to topic waits, at the server in use.
func (k *Keeper) Held(topic string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.look()
	if p == nil {
		return false
	}
	held, known := p.held(topic, k.o.Now())
	if known {
		return held
	}
	t, ok := k.o.Gone(topic)
	if ok {
		p.meet(t, k.o.Now())
		k.stale = true
		k.wake()
	}
	held, _ = p.held(topic, k.o.Now())
	return held
}

// Denied tells whether topic is denied at the server in use.
func (k *Keeper) Denied(topic string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.look()
	return p != nil && p.entries[topic] != nil && p.entries[topic].verdict == transport.EchoDenied
}

// Changed is signalled when Held may say something else than before. It is for one reader: a signal that was not read yet stays.
func (k *Keeper) Changed() <-chan struct{} { return k.changed }

// asked are the topics, and the one that says whether commands arrive.
func (o Options) asked(topics []transport.EchoTopic) []transport.EchoTopic {
	if o.Probe == "" {
		return topics
	}
	return append(slices.Clip(topics), transport.EchoTopic{Class: transport.ClassCommands, Topic: o.Probe})
}

// Use is called when other topics are used.
func (k *Keeper) Use(topics []transport.EchoTopic) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.topics = k.o.asked(topics)
	for _, p := range k.pages {
		p.use(k.topics, k.o.Gone, k.o.Now())
	}
	k.stale = true
	k.wake()
}

// Again is called when a person may have mended something: what is not ok is asked about at once.
func (k *Keeper) Again() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, p := range k.pages {
		p.mended(k.o.Now())
	}
	k.wake()
}

// Connected is called with each new session.
func (k *Keeper) Connected() { k.wake() }

func (k *Keeper) wake() {
	select {
	case k.kick <- struct{}{}:
	default:
	}
}

// tell signals Changed, if other topics are held than when it did last.
func (k *Keeper) tell() {
	k.mu.Lock()
	defer k.mu.Unlock()
	held := ""
	if p := k.look(); p != nil {
		held = p.allHeld(k.o.Now())
	}
	if held != k.told || k.stale {
		k.told, k.stale = held, false
		k.signal()
	}
}

func (k *Keeper) signal() {
	select {
	case k.changed <- struct{}{}:
	default:
	}
}

// look is the page of the session in use, or of the last one; nil: there was none yet. mu is held.
func (k *Keeper) look() *page {
	u, up := k.o.Link.Using()
	if !up {
		return k.pages[k.login]
	}
	login := u.Server
	if u.Username != "" {
		login += " as " + u.Username
	}
	p := k.pages[login]
	if login == k.login && u.Number == k.session {
		return p
	}
	now := k.o.Now()
	if p == nil {
		p = newPage(k.o.Memory.Verdicts(login))
		p.use(k.topics, k.o.Gone, now)
		k.pages[login] = p
	}
	p.connected(u.Planned, now)
	k.login, k.user, k.server, k.session, k.stale = login, u.Username, u.Server, u.Number, true
	k.signal()
	k.wake()
	return p
}

// Run asks what is due until ctx is done.
func (k *Keeper) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-k.kick:
		case <-timer.C:
		}
		select {
		case <-ctx.Done():
			return nil
		case <-k.o.Link.Ready():
		}
		k.tell()
		spent := k.o.Exhausted()
		if !spent {
			for _, line := range k.ask(ctx) {
				line()
			}
			if line := k.try(ctx); line != nil {
				line()
			}
		}
		k.tell() // what is new may have waited enough
		if wait := k.pause(); spent {
			timer.Reset(newFor)
		} else {
			timer.Reset(wait)
		}
	}
}

// backlog is what waits, while something is denied; false: nothing is.
func (k *Keeper) backlog() (b Backlog, denies bool) {
	k.mu.Lock()
	if p := k.look(); p != nil {
		denied, _ := p.sorts()
		denies = len(denied) > 0
	}
	k.mu.Unlock()
	if denies {
		b = k.o.Backlog()
	}
	return b, denies
}

// pause is how long until there may be something to do.
func (k *Keeper) pause() time.Duration {
	b, denies := k.backlog()
	k.mu.Lock()
	defer k.mu.Unlock()
	p, now := k.look(), k.o.Now()
	if p == nil {
		return sampleGap
	}
	wait := sampleGap
	if at := p.wake(now); !at.IsZero() {
		wait = min(wait, max(at.Sub(now), time.Second))
	}
	if denies {
		k.fill.sample(b, now)
	} else {
		k.fill = fill{}
	}
	return wait
}

// ask makes a trial of what is due, and returns what there is to log.
func (k *Keeper) ask(ctx context.Context) (lines []func()) {
	k.mu.Lock()
	p, now := k.look(), k.o.Now()
	if p == nil {
		k.mu.Unlock()
		return nil
	}
	topics, session := p.due(now), k.session
	k.mu.Unlock()
	if len(topics) == 0 {
		return nil
	}
	state, others := k.o.State, topics[:0:0]
	for _, t := range topics {
		if t.Topic != state.Topic && t.Class != transport.ClassCommands { // which each trial asks about
			others = append(others, t)
		}
	}
	late := time.AfterFunc(newFor, k.tell)
	defer late.Stop()
	try, cancel := context.WithTimeout(ctx, trialTime)
	results, err := k.o.Link.Deliverable(try, others, k.o.Probe, state)
	cancel()
	if ctx.Err() != nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.look() != p || k.session != session { // it was another's word, in part at least
		p.interrupted(k.o.Now())
		return nil
	}
	c := p.answered(results, k.o.Now())
	if c.learnt {
		k.keep(p)
	}
	return k.report(c, err, p)
}

// report is what a trial has changed, for the log. mu is held.
func (k *Keeper) report(c change, err error, p *page) (lines []func()) {
	say := func(line func()) { lines = append(lines, line) }
	if !c.learnt {
		say(func() { k.o.Log.Info().Err(err).Msg("which topics the server delivers could not be asked") })
		return lines
	}
	a, user := k.o.Advice.at(k.login), k.user
	if len(c.denied) > 0 {
		say(func() {
			supervise.Str(k.o.Log.Error(), "why", c.why).Strs("topics", names(c.denied, namesMost)).Int("count", len(c.denied)).
				Msg(a.denied(c.denied, user, ""))
		})
	}
	if len(c.released) > 0 {
		say(func() {
			k.o.Log.Info().Strs("topics", names(c.released, namesMost)).Int("count", len(c.released)).
				Msg("server does not refuse these topics any more: what was held is published")
		})
	}
	if c.mute != nil {
		say(func() { k.o.Log.Error().Msg(a.mute(*c.mute, user)) })
	}
	if c.arrive {
		say(func() { k.o.Log.Info().Msg("what is published to this gateway comes back to it: commands arrive") })
	}
	if c.deaf != "" {
		say(func() { k.o.Log.Warn().Msg(a.deaf(c.deaf, user)) })
	}
	if doubt := k.doubt(p); doubt != p.doubted {
		if p.doubted = doubt; doubt != "" {
			say(func() { k.o.Log.Warn().Msg(doubt) })
		}
	}
	return lines
}
