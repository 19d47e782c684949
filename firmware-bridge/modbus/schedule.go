package modbus

import "time"

// Our own choices.
const (
	leastTry = 50 * time.Millisecond // a try shorter than that tells nothing
	patience = time.Minute           // without slack for so long, one try is made all the same
)

// ScheduleOptions are the times of a bus.
type ScheduleOptions struct {
	Timeout    time.Duration // for an answer to begin
	Retries    int           // of a unit that answered before, until it counts as dead
	BackoffMin time.Duration // a dead unit is tried after this, and after twice as long each time it stays silent,
	BackoffMax time.Duration // up to this
	Margin     time.Duration // what a try takes beside its timeout, at most
}

// State is what is known of a unit.
type State byte

// The states of a unit.
const (
	Unknown State = iota // not answered yet
	Live
	Dead
)

// Job is one poll: all blocks of one group of one unit.
type Job struct {
	Unit, Group int
	Timeout     time.Duration // for an answer to begin; less than the configured one in a small slack
}

// Schedule says whose turn it is on one bus. Units that answer are read when they are due, the most overdue first, each in its
// rhythm. What may cost a timeout waits for the slack: the time until the next of them is due. That are units that are dead or
// not known yet, and second tries. So a unit that dies delays the others by one timeout, once; and a dead one by nothing, as long as
// the bus has any slack in a minute.
//
// Not safe for concurrent use.
type Schedule struct {
	o     ScheduleOptions
	units []scheduled
}

type scheduled struct {
	state   State
	backoff time.Duration // when it was tried last
	next    time.Time     // not live: when it is tried
	groups  []rhythm
}

type rhythm struct {
	every time.Duration
	due   time.Time
	again time.Time // from when on a second try waits for slack; zero: none
	fails int       // in a row
}

// NewSchedule makes a schedule of units with the periods of their groups; all are due at now.
func NewSchedule(o ScheduleOptions, now time.Time, periods [][]time.Duration) *Schedule {
	s := &Schedule{o: o, units: make([]scheduled, len(periods))}
	for i, groups := range periods {
		s.units[i].next = now
		for _, every := range groups {
			s.units[i].groups = append(s.units[i].groups, rhythm{every: every, due: now})
		}
	}
	return s
}

// State of one unit.
func (s *Schedule) State(unit int) State { return s.units[unit].state }

// Next is the poll that is to be made at now; false: none is, see Wake.
func (s *Schedule) Next(now time.Time) (Job, bool) {
	j, due := s.firstDue()
	if !due.IsZero() && !due.After(now) {
		return j, true
	}
	var first time.Time
	var found Job
	s.tries(func(t Job, since time.Time) {
		if since.After(now) || !first.IsZero() && !since.Before(first) {
			return
		}
		if t.Timeout = s.fits(t, since, now, due); t.Timeout > 0 {
			found, first = t, since
		}
	})
	return found, !first.IsZero()
}

// fits is how long a try may wait for its answer; 0: it must not be made now.
func (s *Schedule) fits(t Job, since, now, due time.Time) time.Duration {
	slack := due.Sub(now) - s.o.Margin
	switch {
	case due.IsZero() || slack >= s.o.Timeout:
		return s.o.Timeout
	case s.units[t.Unit].state != Live && slack >= leastTry:
		return slack
	case now.Sub(since) >= patience:
		return s.o.Timeout
	}
	return 0
}

// Wake is when Next has something again; zero: never.
func (s *Schedule) Wake(now time.Time) time.Time {
	_, wake := s.firstDue()
	s.tries(func(_ Job, since time.Time) {
		if !since.After(now) {
			since = since.Add(patience)
		}
		if wake.IsZero() || since.Before(wake) {
			wake = since
		}
	})
	return wake
}

// firstDue is the group of a live unit that is due first; a zero time: no unit is live.
func (s *Schedule) firstDue() (j Job, due time.Time) {
	for u := range s.units {
		if s.units[u].state != Live {
			continue
		}
		for g, r := range s.units[u].groups {
			if due.IsZero() || r.due.Before(due) {
				j, due = Job{u, g, s.o.Timeout}, r.due
			}
		}
	}
	return j, due
}

// tries calls f with all that waits for slack, and since when, which may lie ahead.
func (s *Schedule) tries(f func(Job, time.Time)) {
	for u := range s.units {
		unit := &s.units[u]
		if unit.state != Live {
			if len(unit.groups) > 0 {
				f(Job{u, unit.earliest(), s.o.Timeout}, unit.next)
			}
			continue
		}
		for g, r := range unit.groups {
			if !r.again.IsZero() {
				f(Job{u, g, s.o.Timeout}, r.again)
			}
		}
	}
}

func (u *scheduled) earliest() (first int) {
	for g, r := range u.groups {
		if r.due.Before(u.groups[first].due) {
			first = g
		}
	}
	return first
}

// Answered is called after a poll that the unit answered, as a whole.
func (s *Schedule) Answered(j Job, now time.Time) {
	s.alive(j.Unit, now)
	r := &s.units[j.Unit].groups[j.Group]
	r.fails, r.again = 0, time.Time{}
	r.pass(now)
}

// Heard is called when the unit answered something else than a poll.
func (s *Schedule) Heard(unit int, now time.Time) { s.alive(unit, now) }

func (s *Schedule) alive(u int, now time.Time) {
	unit := &s.units[u]
	unit.backoff = 0
	if unit.state == Live {
		return
	}
	unit.state = Live
	for g := range unit.groups { // in the old rhythm, without what was missed
		unit.groups[g].pass(now)
		unit.groups[g].due = unit.groups[g].due.Add(-unit.groups[g].every)
	}
}

// Silent is called after a poll that failed: no answer, a bad one, or only to some of its blocks (heard). True: that is how it
// ends; false: it is tried again. For another timeout nothing is asked of the unit: an answer that comes too late must not be taken
// for that to the next question.
func (s *Schedule) Silent(j Job, heard bool, now time.Time) bool {
	unit := &s.units[j.Unit]
	r := &unit.groups[j.Group]
	if heard {
		s.alive(j.Unit, now)
	}
	r.fails++
	after := now.Add(s.o.Timeout)
	for g := range unit.groups {
		unit.groups[g].pass(after)
	}
	if unit.state == Live && r.fails <= s.o.Retries {
		r.again = after
		return false
	}
	r.fails, r.again = 0, time.Time{}
	if heard {
		return true
	}
	for g := range unit.groups {
		unit.groups[g].fails, unit.groups[g].again = 0, time.Time{}
	}
	unit.state = Dead
	unit.backoff = min(max(2*unit.backoff, s.o.BackoffMin), s.o.BackoffMax)
	unit.next = now.Add(max(unit.backoff, s.o.Timeout))
	return true
}

// pass moves due on to after now, in steps: the rhythm stays.
func (r *rhythm) pass(now time.Time) {
	if late := now.Sub(r.due); late >= 0 {
		r.due = r.due.Add((late/r.every + 1) * r.every)
	}
}
