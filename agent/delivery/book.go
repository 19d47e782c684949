package delivery

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/transport"
)

const (
	newFor      = 10 * time.Second // so long what is new waits for its verdict
	retryFirst  = 5 * time.Minute  // until what is denied is tried again, growing to retryMost
	retryMost   = time.Hour
	retryAtOnce = 32 // topics that are denied, of one trial: the others have their turn at the next, or when one of these is ok

	failedFirst = time.Minute        // until what could not be asked is asked again, growing to retryMost
	askUnknown  = 24 * time.Hour     // until what is unknown is asked again
	askOK       = 7 * 24 * time.Hour // and what is ok: rules change
	topicsMost  = 512                // of one login
)

// Doubted is stored for what is unknown, and a person should know that.
const Doubted = "doubted"

// entry is what is known of one topic, for one login.
type entry struct {
	topic   transport.EchoTopic
	verdict string // empty: none yet
	why     string // behind the topic it makes a sentence
	doubt   bool   // of unknown: a person should know that nobody can tell
	asked   time.Time
	until   time.Time // without a verdict: it waits until then
}

// page is what is known for one login at one server. Pure: now comes in, topics to ask and times go out.
type page struct {
	entries map[string]*entry
	asked   time.Time // the last trial, whatever came of it; zero: there was none in this run

	retryAt time.Time // of what is denied
	gap     time.Duration
	failAt  time.Time // before it nothing is asked: the last trial learnt nothing
	failGap time.Duration
	again   bool // a person may have mended something: what is not ok is asked now
	deaf    string
	doubted string // what was logged of doubts
	size    sizes
}

// newPage begins with what was stored. When that was is at, for what is ok or unknown; what is denied is tried at once.
func newPage(stored map[string]string, at time.Time) *page {
	p := &page{entries: map[string]*entry{}}
	for topic, verdict := range stored {
		if p.size.restore(topic, verdict, at) {
			continue
		}
		e := &entry{topic: transport.EchoTopic{Topic: topic}, verdict: verdict, asked: at}
		if verdict == Doubted {
			e.verdict, e.doubt = transport.EchoUnknown, true
		}
		p.entries[topic] = e
	}
	return p
}

// use is called with the topics that are used now. What is new waits until its verdict, or until newFor from now. gone knows the
// others.
func (p *page) use(topics []transport.EchoTopic, gone func(string) (transport.EchoTopic, bool), now time.Time) {
	used := map[string]*entry{}
	for _, t := range topics[:min(len(topics), topicsMost)] {
		e := p.entries[t.Topic]
		if e == nil {
			e = &entry{until: now.Add(newFor)}
		}
		e.topic = t
		used[t.Topic] = e
	}
	for topic, e := range p.entries { // of a device that is gone records may still wait
		if t, ok := gone(topic); ok && e.verdict == transport.EchoDenied && used[topic] == nil && len(used) < topicsMost {
			e.topic, used[topic] = t, e
		}
	}
	p.entries = used
}

// meet is called with a topic that records wait for, and that is not used any more.
func (p *page) meet(t transport.EchoTopic, now time.Time) {
	if len(p.entries) < topicsMost {
		p.entries[t.Topic] = &entry{topic: t, until: now.Add(newFor)}
	}
}

// held tells whether what goes to topic waits; known false: it was never heard of.
func (p *page) held(topic string, now time.Time) (held, known bool) {
	e := p.entries[topic]
	if e == nil {
		return false, false
	}
	return e.verdict == transport.EchoDenied || e.verdict == "" && now.Before(e.until), true
}

// allHeld are the topics that wait.
func (p *page) allHeld(now time.Time) string {
	var all []string
	for topic := range p.entries {
		if held, _ := p.held(topic, now); held {
			all = append(all, topic)
		}
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

// connected is called with each session. One that we did not ask for may have met another server behind the same name: what is
// denied is tried again, but never sooner than retryFirst after the last time.
func (p *page) connected(planned bool, now time.Time) {
	if !planned && !now.Before(p.asked.Add(retryFirst)) {
		p.retryAt, p.failAt = now, time.Time{}
	}
}

// mended is called when a person may have mended something.
func (p *page) mended(now time.Time) {
	p.again, p.retryAt, p.gap, p.failAt, p.failGap = true, now, 0, time.Time{}, 0
	p.size.mended()
}

// due are the topics to ask now; nil: none.
func (p *page) due(now time.Time) (topics []transport.EchoTopic) {
	if now.Before(p.failAt) {
		return nil
	}
	var denied []string
	for _, name := range slices.Sorted(maps.Keys(p.entries)) {
		switch e := p.entries[name]; e.verdict {
		case transport.EchoDenied:
			if !now.Before(p.retryAt) {
				denied = append(denied, fmt.Sprintf("%020d %s", e.asked.Unix(), name)) // the one that waits for longest first
			}
		case "":
			topics = append(topics, e.topic)
		case transport.EchoUnknown:
			if p.again || !now.Before(e.asked.Add(askUnknown)) {
				topics = append(topics, e.topic)
			}
		default:
			if !now.Before(e.asked.Add(askOK)) {
				topics = append(topics, e.topic)
			}
		}
	}
	slices.Sort(denied)
	for _, key := range denied[:min(len(denied), retryAtOnce)] {
		_, name, _ := strings.Cut(key, " ")
		topics = append(topics, p.entries[name].topic)
	}
	return topics
}

// wake is when something is due, or what is new has waited enough; zero: never.
func (p *page) wake(now time.Time) (at time.Time) {
	first := func(t time.Time) {
		if at.IsZero() || t.Before(at) {
			at = t
		}
	}
	later := func(t time.Time) time.Time {
		if t.Before(p.failAt) {
			return p.failAt
		}
		return t
	}
	for _, e := range p.entries {
		switch e.verdict {
		case transport.EchoDenied:
			first(later(p.retryAt))
		case "":
			first(later(now))
			if now.Before(e.until) {
				first(e.until)
			}
		case transport.EchoUnknown:
			first(later(e.asked.Add(askUnknown)))
		default:
			first(later(e.asked.Add(askOK)))
		}
	}
	return at
}

// change is what a trial has changed.
type change struct {
	denied, released []transport.EchoTopic
	why              string               // of the first that is denied
	deaf             string               // a topic that the login may not listen to; said once
	mute             *transport.EchoTopic // commands may not arrive, as it shows; nil: that is not new
	arrive           bool                 // they do again
	learnt           bool
}

// answered is called with what came of a trial.
func (p *page) answered(results []transport.EchoResult, now time.Time) (c change) {
	p.asked, p.again = now, false
	for _, r := range results {
		e := p.entries[r.Topic]
		if e == nil {
			continue
		}
		if e.asked = now; !r.Learnt {
			e.until = now // which may be never
			continue
		}
		c.learnt = true
		was := e.verdict
		if r.Verdict == transport.EchoUnknown && was == transport.EchoDenied && !r.ByID {
			continue // only ok releases it, and that its word does not count
		}
		e.verdict, e.why, e.doubt = r.Verdict, r.Why, r.Doubt
		switch {
		case r.Class == transport.ClassCommands:
			c.arrive = was == transport.EchoDenied && r.Verdict == transport.EchoOK
			if was != r.Verdict && r.Verdict == transport.EchoDenied {
				c.mute = &r.EchoTopic
			}
		case was == transport.EchoDenied && r.Verdict != was:
			c.released = append(c.released, r.EchoTopic)
		case was != transport.EchoDenied && r.Verdict == transport.EchoDenied:
			c.denied = append(c.denied, r.EchoTopic)
			c.why = r.Why
		}
		if r.Deaf && p.deaf == "" {
			p.deaf, c.deaf = r.Topic, r.Topic
		}
	}
	p.plan(c, now)
	return c
}

// interrupted is called after a trial during which another session began: what it said is of another server perhaps.
func (p *page) interrupted(now time.Time) { p.asked, p.failAt = now, now.Add(newFor) }

// plan says when what is left is tried again.
func (p *page) plan(c change, now time.Time) {
	if !c.learnt {
		p.failGap = min(max(2*p.failGap, failedFirst), retryMost)
		p.failAt = now.Add(p.failGap)
		return
	}
	p.failAt, p.failGap = time.Time{}, 0
	for _, e := range p.entries {
		if e.verdict == "" { // some were not asked, of many that the server closes at
			p.failAt = now.Add(failedFirst)
		}
	}
	if p.gap = min(max(2*p.gap, retryFirst), retryMost); len(c.released)+len(c.denied) > 0 {
		p.gap = retryFirst
	}
	p.retryAt = now.Add(p.gap)
	for _, e := range p.entries {
		if len(c.released) > 0 && e.verdict == transport.EchoDenied && e.asked.Before(now) {
			p.retryAt = now // which had no turn, and may be ok too
		}
	}
}

// stored is what newPage begins with another time.
func (p *page) stored(now time.Time) map[string]string {
	all := map[string]string{}
	p.size.store(all, now)
	for topic, e := range p.entries {
		switch {
		case e.verdict == "":
		case e.doubt:
			all[topic] = Doubted
		default:
			all[topic] = e.verdict
		}
	}
	return all
}
