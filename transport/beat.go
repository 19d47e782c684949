package transport

import (
	"context"
	"sync"
	"time"

	"github.com/linkbeat/linkbeat/transport/heartbeat"
)

const (
	watchdogSpare = 2 // the read watchdog leaves the beat this many times detect_within
	reportTime    = time.Second
)

// guarded is what the loop shares with the goroutines of the library and the learner.
type guarded struct {
	sync.Mutex
	beat     *heartbeat.Beat
	armed    time.Time // when the loop wakes
	accepted bool      // CONNACK came
	late     bool      // written by the loop only
	heard    time.Time // last packet
	asked    time.Time // first unanswered packet; zero: none
	askedBy  bool      // and it was a beat
	cause    error     // of the end
	wanted   *redial   // nil: no re-dial
	changed  bool      // the network did
	report   reporting
}

// ask notes the first packet that is not answered. guarded is held.
func (g *guarded) ask(now time.Time, beat bool) {
	if g.asked.IsZero() {
		g.asked, g.askedBy = now, beat
	}
	if !beat {
		g.askedBy = false
	}
}

// rearm wakes the loop when it sleeps past the beat's next deadline. guarded is held.
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
	action := s.guarded.beat.Step(now)
	if action == heartbeat.Ping {
		s.guarded.ask(now, true)
	}
	s.l.health.observe(s.guarded.beat.Interval(), s.guarded.beat.SRTT())
	s.guarded.Unlock()
	switch action {
	case heartbeat.Ping:
		s.l.health.pings.Add(1)
		s.conn.ping()
	case heartbeat.GiveUp:
		_ = s.conn.fail(s.late.silent())
	}
}

// silence is the read watchdog's patience.
func (s *session) silence() time.Duration {
	longest := s.keepalive // the beat may grow while we wait
	if !s.l.learner.On() {
		longest = min(longest, max(s.l.o.Interval, s.l.o.Learning.Max))
	}
	return s.l.dialer.HandshakeTime() + longest + watchdogSpare*s.l.o.DetectWithin
}

// reporting is whose turn it is at a beat, the ping's or the report's.
type reporting struct {
	beats int       // that were due
	empty bool      // there was nothing to report
	until time.Time // the report may take so long to be written, and a ping is not missed
}

// reports publishes a report instead of the ping that is due, when it is its turn: acknowledged, it proves as much. guarded is
// held.
func (s *session) reports(now time.Time) bool {
	if s.l.o.ReportEvery <= 0 || s.l.o.Report == nil || !s.up.is {
		return false
	}
	switch {
	case now.Before(s.guarded.report.until):
		return true // it is on its way
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
		_, _ = s.window.send(ctx, m)
	})
	return true
}
