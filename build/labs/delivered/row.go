package delivered

import (
	"fmt"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// row is one situation that people report, or one of our own of the same kind.
type row struct {
	point  int    // of the issue
	name   string // short
	before string // what the issue saw; empty: this one is our own

	place func() place

	says   string        // part of what `why` must say; empty: the gateway does not suffer
	never  string        // part of what it must not say
	within time.Duration // until it says it; 0: 30 s
	lasts  time.Duration // at least

	mend   func(s *stand) error // what a person does, or the server, so that there is a way; nil: there is one, or there is none
	free   []string             // devices that nothing stands in the way of: they lose nothing, whatever becomes of the others
	slow   time.Duration        // what needs so long to be delivered is judged in the full form only
	held   bool                 // until it is mended nothing of what is not free may be given away
	tooBig string               // a device whose frames no server would take: they go into quarantine
	diag   int                  // exit code beside the running agent
	check  func(s *stand, c count, t *kit.Table, name string)
}

// atLeast is how long any situation lasts.
const atLeast = 8 * time.Second

// mostWhy is the longest until `why` names a cause.
const mostWhy = 30 * time.Second

// title is how the row begins.
func (r row) title() string {
	if r.before == "" {
		return fmt.Sprintf("%d %s (our own)", r.point, r.name)
	}
	return fmt.Sprintf("%d %s", r.point, r.name)
}

func (r row) run(l lab, id string) error {
	s, err := l.at(id, r.place())
	if s != nil {
		defer s.end()
	}
	if err != nil {
		return err
	}
	began := time.Now()
	if err := s.start(); err != nil {
		return err
	}
	if r.says != "" {
		l.wait(mostWhy, func() bool { // whether it came is a row
			text, _ := s.seen.first(r.says, began)
			return text != ""
		})
	}
	l.Sleep(time.Until(began.Add(r.long(l.o))))
	r.diagnose(s)
	if err := r.finish(s, began); err != nil {
		return err
	}
	return r.sentence(s, began)
}

// long is how long the situation lasts, at least. What takes its time, or is a rate, lasts long in the full form.
func (r row) long(o options) time.Duration {
	if o.Full && (r.slow > 0 || r.check != nil) {
		return o.Lasts
	}
	return max(r.lasts, atLeast)
}

// sentence judges what `why` said.
func (r row) sentence(s *stand, began time.Time) error {
	text, after := s.seen.first(r.says, began)
	if r.says != "" {
		within := r.within
		if within == 0 {
			within = mostWhy
		}
		s.t.Check(r.title()+": why says it", said(text, r.says, s.seen))
		if text != "" {
			s.t.Within(r.title()+": why says it after", after.Seconds(), within.Seconds(), "s")
		}
	}
	if r.never != "" {
		text, _ := s.seen.first(r.never, began)
		s.t.Exactly(r.title()+": why speaks of what is not so", len(text), 0, "characters", text)
	}
	return nil
}

// said is the error of a sentence that did not come, with what came instead.
func said(text, part string, w *watch) error {
	if text != "" {
		return nil
	}
	return fmt.Errorf("never said %q, but: %q", part, w.all())
}

// finish ends the playing, lets it be mended, and judges the frames.
func (r row) finish(s *stand, began time.Time) error {
	name := r.title()
	free, err := s.count(r.free...)
	if err != nil {
		return err
	}
	s.quiet()
	s.Sleep(time.Second) // the last lines are on their way to the spool
	if r.held {
		c, err := s.count()
		if err != nil {
			return err
		}
		s.t.Exactly(name+": given away before it was mended", c.lost(), 0, "frames", r.note(s, c, began))
	}
	if r.mend != nil {
		if err := r.mend(s); err != nil {
			return err
		}
	}
	patience := 15 * time.Second
	if s.o.Full {
		patience = max(time.Minute, r.slow)
	}
	if r.slow > 0 && !s.o.Full {
		patience = 0
	}
	c, err := s.settle(patience)
	if err != nil {
		return err
	}
	lost := c.missing() - c.poison
	if r.slow > 0 && !s.o.Full {
		lost = c.lost()
	}
	s.t.Exactly(name+": frames lost", max(0, lost), 0, "", r.note(s, c, began))
	if len(r.free) > 0 {
		s.t.Exactly(name+": frames of "+strings.Join(r.free, ", ")+" held up", max(0, free.missing()-s.onTheWay(r.free)), 0, "",
			free.String())
	}
	if r.tooBig != "" {
		big, err := s.count(r.tooBig)
		if err != nil {
			return err
		}
		s.t.Exactly(name+": frames too large that were taken for delivered", max(0, big.lost()), 0, "", big.String())
	}
	if r.check != nil {
		r.check(s, c, s.t, name)
	}
	return nil
}

// onTheWay is how many lines of these devices may be on their way while they are counted: those of two seconds.
func (s *stand) onTheWay(names []string) (n int) {
	for _, d := range s.p.devices {
		for _, name := range names {
			if d.name == name {
				n += 2 * d.rate
			}
		}
	}
	return n
}

func (r row) note(s *stand, c count, began time.Time) string {
	before := "before: " + r.before
	if r.before == "" {
		before = "an example of our own"
	}
	now := "; now: " + c.String()
	if text, after := s.seen.first(r.says, began); r.says != "" && text != "" {
		now += fmt.Sprintf("; `why` after %.1f s: %q", after.Seconds(), text)
	}
	return before + now
}

// notAsked is the exit code of diag that is not judged.
const notAsked = -1

// diagnose runs diag beside the agent.
func (r row) diagnose(s *stand) {
	if r.diag == notAsked {
		return
	}
	out, code, err := s.command(90*time.Second, "diag")
	if err != nil {
		s.t.Check(r.title()+": diag", err)
		return
	}
	s.t.Exactly(r.title()+": diag exits", code, r.diag, "", worst(out))
}

// worst are the lines of diag that failed.
func worst(out string) string {
	var bad []string
	for _, line := range strings.Split(out, "\n") {
		if strings.HasPrefix(line, "FAIL") {
			bad = append(bad, line)
		}
	}
	if len(bad) > 0 {
		return strings.Join(bad, "\n")
	}
	return "no line of it failed"
}
