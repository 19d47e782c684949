package transport

import (
	"context"
	"time"
)

// reports publishes a report instead of the ping that is due, when it is its turn: acknowledged, it proves as much. mu is held.
func (s *session) reports(now time.Time) bool {
	if s.l.o.ReportEvery <= 0 || s.l.o.Report == nil || !s.isUp {
		return false
	}
	switch {
	case now.Before(s.reporting):
		return true // it is on its way
	case s.speechless: // this one is a ping after all
		s.speechless = false
		return false
	}
	if s.beats++; s.beats%s.l.o.ReportEvery != 0 {
		return false
	}
	s.reporting = now.Add(reportTime)
	s.l.group.Go(func() {
		m, ok := s.l.o.Report()
		if !ok {
			s.mu.Lock()
			s.reporting, s.speechless = time.Time{}, true
			s.mu.Unlock()
			s.poke()
			return
		}
		ctx, cancel := context.WithTimeout(s.ctx, reportTime)
		defer cancel()
		_, _ = s.flight.send(ctx, m)
	})
	return true
}
