package delivery

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/transport"
)

var day = time.Unix(1_800_000_000, 0)

func topic(name string) transport.EchoTopic {
	return transport.EchoTopic{Class: ClassData, Topic: "lb/gw-1/up/data/" + name, Other: "lb/gw-1-p0/up/data/" + name}
}

func some3() []transport.EchoTopic {
	return []transport.EchoTopic{topic("a"), topic("b"), topic("c")}
}

// says is a result for each of topics.
func says(verdict string, topics ...transport.EchoTopic) (all []transport.EchoResult) {
	for _, t := range topics {
		all = append(all, transport.EchoResult{EchoTopic: t, Verdict: verdict, Learnt: true, Why: "is so"})
	}
	return all
}

func notGone(string) (transport.EchoTopic, bool) { return transport.EchoTopic{}, false }

func pageOf(topics ...transport.EchoTopic) *page {
	p := newPage(nil, time.Time{})
	p.use(topics, notGone, day)
	return p
}

func isHeld(p *page, name string, now time.Time) bool {
	held, _ := p.held(topic(name).Topic, now)
	return held
}

func TestWhatIsNewWaitsForItsVerdict(t *testing.T) {
	for _, verdict := range []string{transport.EchoOK, transport.EchoUnknown, transport.EchoDenied} {
		held := verdict == transport.EchoDenied
		p := pageOf(some3()...)
		if !isHeld(p, "a", day) || !isHeld(p, "a", day.Add(newFor-1)) || isHeld(p, "a", day.Add(newFor)) {
			t.Error("what is new does not wait for", newFor)
		}
		if due := p.due(day); len(due) != 3 {
			t.Errorf("asked: %v", due)
		}
		p.answered(says(verdict, some3()...), day.Add(time.Second))
		if isHeld(p, "a", day.Add(2*time.Second)) != held || isHeld(p, "a", day.Add(time.Hour)) != held {
			t.Errorf("%s: not held is %v", verdict, held)
		}
		if due := p.due(day.Add(time.Minute)); due != nil {
			t.Errorf("%s: asked again: %v", verdict, due)
		}
	}
}

// TestOnlyWhatIsDeniedIsHeld, and never in front of others.
func TestOnlyWhatIsDeniedIsHeld(t *testing.T) {
	p := pageOf(some3()...)
	c := p.answered(append(says(transport.EchoDenied, topic("b")), says(transport.EchoOK, topic("a"), topic("c"))...), day)
	if len(c.denied) != 1 || c.why != "is so" || isHeld(p, "a", day) || !isHeld(p, "b", day) || isHeld(p, "c", day) {
		t.Errorf("%+v", c)
	}
}

func TestWhatIsDeniedIsTriedLessAndLessOften(t *testing.T) {
	p, now := pageOf(topic("a")), day
	p.answered(says(transport.EchoDenied, topic("a")), now)
	for _, gap := range []time.Duration{5, 10, 20, 40, 60, 60} {
		gap *= time.Minute
		if p.due(now.Add(gap-1)) != nil || len(p.due(now.Add(gap))) != 1 || !p.wake(now).Equal(now.Add(gap)) {
			t.Fatalf("not after %v", gap)
		}
		now = now.Add(gap)
		p.answered(says(transport.EchoDenied, topic("a")), now)
	}
	if c := p.answered(says(transport.EchoOK, topic("a")), now); len(c.released) != 1 || isHeld(p, "a", now) {
		t.Errorf("not released: %+v", c)
	}
}

// TestOnlyOKReleases: what a trial could not find out changes nothing, but that its word does not count.
func TestOnlyOKReleases(t *testing.T) {
	for name, c := range map[string]struct {
		r    transport.EchoResult
		held bool
	}{
		"unknown":      {transport.EchoResult{Verdict: transport.EchoUnknown, Learnt: true}, true},
		"no answer":    {transport.EchoResult{Verdict: transport.EchoUnknown}, true},
		"by client id": {transport.EchoResult{Verdict: transport.EchoUnknown, Learnt: true, ByID: true}, false},
		"ok":           {transport.EchoResult{Verdict: transport.EchoOK, Learnt: true}, false},
	} {
		p := pageOf(topic("a"))
		p.answered(says(transport.EchoDenied, topic("a")), day)
		c.r.EchoTopic = topic("a")
		p.answered([]transport.EchoResult{c.r}, day)
		if isHeld(p, "a", day) != c.held {
			t.Errorf("%s: held is not %v", name, c.held)
		}
	}
}

func TestReconnects(t *testing.T) {
	p := pageOf(topic("a"))
	p.answered(says(transport.EchoDenied, topic("a")), day)
	p.answered(says(transport.EchoDenied, topic("a")), day.Add(5*time.Minute)) // the next is due 10 minutes later
	for after, c := range map[time.Duration]struct{ planned, due bool }{
		9 * time.Minute: {false, false}, 9*time.Minute + 1: {true, false}, 10*time.Minute + 1: {false, true},
		10*time.Minute + 2: {true, false},
	} {
		q := *p
		if q.connected(c.planned, day.Add(after)); q.due(day.Add(after)) != nil != c.due {
			t.Errorf("%v later, planned %v: due is not %v", after, c.planned, c.due)
		}
	}
	if p.mended(day.Add(6 * time.Minute)); len(p.due(day.Add(6*time.Minute))) != 1 {
		t.Error("not tried at once after a person mended something")
	}
}

func TestWhatCouldNotBeAsked(t *testing.T) {
	p, now := pageOf(some3()...), day
	if c := p.answered([]transport.EchoResult{{EchoTopic: topic("a"), Verdict: transport.EchoUnknown}}, now); c.learnt {
		t.Errorf("%+v", c)
	}
	if isHeld(p, "a", now) || p.due(now.Add(failedFirst-1)) != nil || len(p.due(now.Add(failedFirst))) != 3 {
		t.Error("it waits, though nothing may ever be known; or it is not asked again")
	}
	for range 20 {
		p.answered(nil, now)
	}
	if at := p.wake(now); at.Before(now.Add(10*time.Second)) || len(p.due(now.Add(retryMost))) != 3 {
		t.Errorf("asked again after %v", at.Sub(now))
	}
}

// TestVerdictsAreKept: a restart holds what was denied, asks it at once, and asks nothing else.
func TestVerdictsAreKept(t *testing.T) {
	p := pageOf(some3()...)
	doubted := says(transport.EchoUnknown, topic("c"))
	doubted[0].Doubt = true
	p.answered(slices.Concat(says(transport.EchoDenied, topic("a")), says(transport.EchoOK, topic("b")), doubted), day)
	want := map[string]string{topic("a").Topic: "denied", topic("b").Topic: "ok", topic("c").Topic: Doubted}
	if got := p.stored(day); !maps.Equal(got, want) {
		t.Errorf("stored %v", got)
	}
	now := day.Add(time.Hour)
	p = newPage(want, day)
	p.use(append(some3(), topic("new")), notGone, now)
	if due := p.due(now); len(due) != 2 || !slices.Contains(due, topic("a")) || !slices.Contains(due, topic("new")) {
		t.Errorf("due %v", due)
	}
	if !isHeld(p, "a", now) || isHeld(p, "b", now) || isHeld(p, "c", now) || !isHeld(p, "new", now) {
		t.Error("held is what is not")
	}
	if _, doubts := p.sorts(); len(doubts) != 1 {
		t.Errorf("doubts %v", doubts)
	}
	if due := p.due(day.Add(askUnknown)); !slices.Contains(due, topic("c")) || slices.Contains(due, topic("b")) {
		t.Errorf("after %v: %v", askUnknown, due)
	}
	if due := p.due(day.Add(askOK)); !slices.Contains(due, topic("b")) {
		t.Errorf("after %v: %v", askOK, due)
	}
}

// TestManyTopics: a trial is never of all that is denied, and the others follow when one of them is ok.
func TestManyTopics(t *testing.T) {
	var all []transport.EchoTopic
	for i := range 2 * topicsMost {
		all = append(all, topic(fmt.Sprintf("%04d", i)))
	}
	p := pageOf(all...)
	if n := len(p.due(day)); n != topicsMost {
		t.Errorf("%d topics are asked", n)
	}
	p.answered(says(transport.EchoDenied, p.due(day)...), day)
	now, seen := day.Add(retryFirst), map[string]bool{}
	for range 3 {
		due := p.due(now)
		if len(due) != retryAtOnce {
			t.Fatalf("%d at once", len(due))
		}
		for _, d := range due {
			seen[d.Topic] = true
		}
		p.answered(says(transport.EchoDenied, due...), now)
		now = now.Add(retryMost)
	}
	if len(seen) != 3*retryAtOnce {
		t.Errorf("%d had their turn", len(seen))
	}
	due := p.due(now)
	p.answered(says(transport.EchoOK, due...), now)
	if p.due(now) == nil {
		t.Error("the others do not follow")
	}
}

// TestATrialIsInterrupted by another session: it is asked again soon, and what a person has mended still is.
func TestATrialIsInterrupted(t *testing.T) {
	p := pageOf(some3()...)
	p.answered(says(transport.EchoDenied, some3()...), day)
	p.answered(says(transport.EchoUnknown, topic("new")), day)
	p.mended(day)
	if p.interrupted(day); p.due(day) != nil || len(p.due(day.Add(newFor))) != 3 || !p.wake(day).Equal(day.Add(newFor)) {
		t.Errorf("due %v, wakes at %v", p.due(day.Add(newFor)), p.wake(day))
	}
}

// TestADeviceThatIsGone: its records wait, and were denied; or nothing is known of them.
func TestADeviceThatIsGone(t *testing.T) {
	gone := func(t string) (transport.EchoTopic, bool) {
		name, ok := strings.CutPrefix(t, "lb/gw-1/up/data/")
		return topic(name), ok
	}
	p := pageOf(some3()...)
	p.answered(says(transport.EchoDenied, some3()...), day)
	p.use(some3()[:1], gone, day)
	if !isHeld(p, "b", day) {
		t.Error("what was denied is released when its device goes")
	}
	if _, known := p.held(topic("x").Topic, day); known {
		t.Error("it was heard of")
	}
	if p.meet(topic("x"), day); !isHeld(p, "x", day) || isHeld(p, "x", day.Add(newFor)) {
		t.Error("it is not new")
	}
}

func TestClasses(t *testing.T) {
	p := pageOf(append(some3(), transport.EchoTopic{Class: "info", Topic: "i"})...)
	if p.classes() != nil {
		t.Error("something is known")
	}
	p.answered(append(says(transport.EchoOK, topic("a"), topic("b")), says(transport.EchoDenied, topic("c"))...), day)
	if got := p.classes(); !maps.Equal(got, map[string]string{"data": "denied"}) {
		t.Error(got)
	}
}
