package transport

import (
	"context"
	"sync"
	"time"

	"github.com/linkbeat/linkbeat/transport/heartbeat"
)

const (
	watchdogFactor = 2 // times detect_within: what the read watchdog leaves to the beat, which should notice first
	reportTime     = time.Second
)

// guarded is what the loop shares with the goroutines of the library and the learner.
type guarded struct {
	sync.Mutex
	beat            *heartbeat.Beat
	armed           time.Time     // when the loop wakes
	accepted        bool          // CONNACK came
	late            bool          // written by the loop only
	heard           time.Time     // last packet
	unansweredSince time.Time     // first unanswered packet; zero: none
	unansweredBeat  bool          // it was a ping of an idle link, and no data since
	quiet           time.Duration // our silence before that ping
	survived        time.Duration // the longest such silence whose ping was answered
	cause           error         // why the conn ended
	requested       *redial       // nil: no re-dial
	changed         bool          // the network did
	report          reporting
}

// noteUnanswered is called with each packet that wants an answer; the first one counts. guarded is held.
func (g *guarded) noteUnanswered(now time.Time, beat bool) {
	if g.unansweredSince.IsZero() {
		g.unansweredSince, g.unansweredBeat = now, beat
	}
	if !beat {
		g.unansweredBeat = false
	}
}

// silence is for how long we have sent nothing; see [faults.Verdict]. guarded is held.
func (g *guarded) silence(now time.Time) time.Duration {
	switch {
	case g.unansweredSince.IsZero():
		return now.Sub(g.beat.Silent())
	case g.unansweredBeat:
		return g.quiet
	}
	return 0
}

// rearm wakes the loop when its timer is set for later than the beat's next deadline. guarded is held.
func (s *session) rearm() {
	if w := s.guarded.beat.Wake(); !w.IsZero() && (s.guarded.armed.IsZero() || w.Before(s.guarded.armed)) {
		s.life.wakeUp()
	}
}

// beatStep pings, reports or gives up, as the beat says.
func (s *session) beatStep(now time.Time) {
	s.guarded.Lock()
	if s.guarded.beat.Due(now) && s.reports(now) {
		s.guarded.Unlock()
		return
	}
	silent := now.Sub(s.guarded.beat.Silent())
	action := s.guarded.beat.Step(now)
	if action == heartbeat.Ping {
		if s.guarded.unansweredSince.IsZero() {
			s.guarded.quiet = silent
		}
		s.guarded.noteUnanswered(now, true)
	}
	s.l.health.observe(s.guarded.beat.Interval(), s.guarded.beat.SRTT())
	s.guarded.Unlock()
	switch action {
	case heartbeat.Ping:
		s.l.health.pings.Add(1)
		s.conn.ping()
	case heartbeat.GiveUp:
		_ = s.conn.fail(s.late.silenceFault())
	}
}

// readPatience is how long the read watchdog waits: longer than any healthy session is silent.
func (s *session) readPatience() time.Duration {
	longest := s.keepalive // the beat may grow while we wait
	if !s.l.learner.On() {
		longest = min(longest, max(s.l.o.Interval, s.l.o.Learning.Max))
	}
	return s.l.dialer.HandshakeTime() + longest + watchdogFactor*s.l.o.DetectWithin
}

// reporting decides whether a beat is a ping or a report.
type reporting struct {
	beats int       // that were due
	empty bool      // there was nothing to report
	until time.Time // until then a report may still be written, and no ping is sent; zero: none is under way
}

// reports publishes a report instead of the ping that is due, when it is a report's turn; its PUBACK proves as much as a
// PINGRESP. guarded is held.
func (s *session) reports(now time.Time) bool {
	if s.l.o.ReportEvery <= 0 || s.l.o.Report == nil || !s.up.is {
		return false
	}
	switch {
	case now.Before(s.guarded.report.until):
		return true // a report is about to be written
	case s.guarded.report.empty: // this one is a ping after all
		s.guarded.report.empty = false
		return false
	}
	if s.guarded.report.beats++; s.guarded.report.beats%s.l.o.ReportEvery != 0 {
		return false
	}
	s.guarded.report.until = now.Add(reportTime)
	s.l.group.Go(func() {
		m, ok := s.l.o.Report()
		if !ok {
			s.guarded.Lock()
			s.guarded.report.until, s.guarded.report.empty = time.Time{}, true
			s.guarded.Unlock()
			s.life.wakeUp()
			return
		}
		ctx, cancel := context.WithTimeout(s.life.ctx, reportTime)
		defer cancel()
		m.use = useOnce
		_, _ = s.window.send(ctx, m)
	})
	return true
}
