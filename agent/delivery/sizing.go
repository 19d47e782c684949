package delivery

import (
	"context"
	"fmt"
	"time"

	"github.com/linkbeat/linkbeat/transport"
)

// sizeTrial is a message that is tried because of its size. One at a time.
type sizeTrial struct {
	m       transport.Message
	p       *page // of its login
	session int64
	began   time.Time
	asked   bool // by Run
	over    bool
	fate    Fate // where over
}

// Size is what becomes of m because of its size, at the server in use. Where that is Tries, the caller leaves m to the trial, and
// asks Outcome after each signal of Changed.
func (k *Keeper) Size(m transport.Message) Fate {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.look()
	if p == nil {
		return Goes
	}
	n, now := len(m.Payload), k.o.Now()
	fate := p.size.fate(n, now)
	if fate != Tries {
		return fate
	}
	if k.trial != nil {
		return Waits
	}
	if !k.o.Affords(p.size.price(n, now)) {
		p.size.untold(n, false, now)
		return Goes
	}
	k.trial = &sizeTrial{m: m, p: p, session: k.session, began: now}
	time.AfterFunc(newFor, k.signal)
	k.wake()
	return Tries
}

// Outcome is what came of the message that Size has said Tries of; false: that is not known yet. After newFor it goes as it would
// without a trial. Once it is known the next one may be tried.
func (k *Keeper) Outcome() (Fate, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	t := k.trial
	switch {
	case t == nil:
		return Goes, true
	case t.over:
	case k.o.Now().Sub(t.began) >= newFor:
		t.p.size.untold(len(t.m.Payload), false, k.o.Now())
		t.fate = Goes
	default:
		return Waits, false
	}
	k.trial = nil
	return t.fate, true
}

// Forget is called when nobody waits for an Outcome any more: the session has ended.
func (k *Keeper) Forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.trial = nil
}

// Closed is called when the server has closed the link each time when m was on its way, which was alone then. Where it delivers
// the topic that is because of its size.
func (k *Keeper) Closed(m transport.Message) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.look()
	if p == nil || p.entries[m.Topic] == nil || p.entries[m.Topic].verdict != transport.EchoOK {
		return
	}
	if n := len(m.Payload); n > p.size.known() {
		p.size.refuses(n, "makes the server close the connection", k.o.Now())
		k.keep(p)
	}
}

// Limit is about how many bytes of payload the server takes, and which one that is; 0: as many as we have, as far as is known.
func (k *Keeper) Limit() (bytes int, server string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.pages[k.login]
	if p == nil || p.size.limit(k.o.Now()) == 0 {
		return 0, ""
	}
	return p.size.known(), k.server
}

// keep stores what is known for the login of p, if that is in use. mu is held.
func (k *Keeper) keep(p *page) {
	if k.pages[k.login] == p {
		k.o.Memory.KeepVerdicts(k.login, p.stored(k.o.Now()))
	}
}

// try has the server try the message that waits for it, and returns what there is to log.
func (k *Keeper) try(ctx context.Context) (line func()) {
	k.mu.Lock()
	t := k.trial
	if t == nil || t.asked {
		k.mu.Unlock()
		return nil
	}
	t.asked = true
	n, now := len(t.m.Payload), k.o.Now()
	q := transport.SizeQuestion{Topic: t.m.Topic, Payload: t.m.Payload, Probe: k.o.Probe, Known: t.p.size.known(),
		Next: t.p.size.next(n, now)}
	k.mu.Unlock()
	try, cancel := context.WithTimeout(ctx, trialTime)
	a := k.o.Link.Size(try, q)
	cancel()
	if ctx.Err() != nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	t.over, t.fate = true, Goes
	defer k.signal()                               // whoever waits for the outcome, whatever is held
	if k.look() != t.p || k.session != t.session { // it was another's word, in part at least
		return nil
	}
	s := &t.p.size
	switch now = k.o.Now(); {
	case a.Passed:
		s.passed(max(n, a.Passes))
		t.fate = Delivered
	case a.Refused:
		if s.refuses(n, a.Why, now); a.Passes < n && a.Passes > s.passes {
			s.passes = a.Passes
		}
		t.fate = TooLarge
	default:
		s.untold(n, a.Deaf, now)
	}
	k.keep(t.p)
	if !a.Refused {
		return nil
	}
	server, most := k.server, s.known()
	return func() {
		k.o.Log.Warn().Str("server", server).Int("bytes", n).Str("why", a.Why).Int("passes", most).
			Msg("server does not take messages that large: batches get smaller, and what is larger alone goes into quarantine")
	}
}

// unheard says that nobody can tell what becomes of large messages; empty: there is no reason to. mu is held.
func (k *Keeper) unheard(p *page) string {
	if p.size.deaf == 0 || !k.o.Now().Before(p.size.blind) {
		return ""
	}
	return fmt.Sprintf("nobody can tell whether the server delivers messages of more than %d bytes: let %s subscribe to its own "+
		"topics, so that they can be heard: %s", p.size.known(), whose(k.user),
		k.o.Advice.at(k.login).rules(k.user, "subscribe to what it publishes"))
}
