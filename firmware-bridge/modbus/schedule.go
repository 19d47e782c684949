package modbus

import "time"

// longestWait is our own choice: a try that has waited for slack for so long is made without slack, at most one in that time.
const longestWait = time.Minute

// longestPause is our own choice: a try that can delay only its own unit waits no longer than this for a pause of that unit.
const longestPause = 10 * time.Second

// ScheduleOptions are the times of a bus.
type ScheduleOptions struct {
	Timeout    time.Duration // for an answer to begin
	Retries    int           // of a unit that answered before, until it counts as dead, and of a block
	BackoffMin time.Duration // a dead unit is tried after this, and after twice as long each time it stays silent,
	BackoffMax time.Duration // up to this
	Margin     time.Duration // the most that a try takes beside its timeout
}

// State is what is known of a unit.
type State byte

// The states of a unit.
const (
	Unknown State = iota // it has not answered yet
	Live
	Dead
)

// Part says which blocks of a group are to be read.
type Part byte

// The parts of a group.
const (
	Due       Part = iota // all blocks but those that are apart
	Remaining             // what the poll before could not ask: the unit was on cooldown
	Apart                 // one of those that stay silent while the unit answers
)

// Job is one poll of one group of one unit.
type Job struct {
	Unit, Group int
	Part        Part

	forced bool // it is made without slack, after longestWait
}

// Unanswered is a block without a usable answer.
type Unanswered struct {
	Times int       // in a row
	Since time.Time // when the poll began in which the first of them was
	Alone bool      // the unit has no other block
}

// Verdict says what happens to a block, or to its unit, that did not answer.
type Verdict byte

// The verdicts.
const (
	TryAgain  Verdict = iota // the poll goes on later, with this block as the last one
	GoesApart                // the unit answers, this block does not: from now on it is tried on its own
	UnitDead
)

// Schedule says which unit of one bus is read next.
//
// A unit that answers is read when it is due: the most overdue one first, each in its own rhythm.
//
// A read that may end in a timeout is a try, and waits for slack: the time until the next unit is due must be enough for it.
// Tries are reads of dead units, of blocks that a unit never answers, and second attempts. The last two also wait, for some
// seconds at most, for a pause of their own unit that is long enough for the try and the cooldown after it. So a unit that dies
// delays the others by one timeout, once, and dead units delay nothing, if the bus has slack for a try once a minute. Where it
// has none, one try a minute is made all the same. No try is shorter than the timeout, so a unit that answers in time is found.
//
// A unit that was never asked comes before everything else: how busy a bus is shows only when all units are known. On a bus
// that has more to do than it can, every unit is late by the same.
//
// A unit on cooldown is asked nothing, and no other unit waits for it.
//
// Not safe for concurrent use.
type Schedule struct {
	o      ScheduleOptions
	units  []unitState
	forced time.Time // when the last try without slack was made
}

type unitState struct {
	state      State
	readyAt    time.Time // end of its cooldown: it is asked nothing before
	lastAnswer time.Time // zero: never
	unanswered int       // requests since then
	retry      backoff   // of a unit that is not live
	turn       int       // the group of the next try
	groups     []rhythm
}

type rhythm struct {
	every time.Duration
	due   time.Time
	again time.Time // since when what remains of the last poll waits for slack; zero: nothing remains
	apart backoff
}

// backoff is when something that does not answer is asked again: ever more rarely.
type backoff struct {
	delay time.Duration // zero: there is nothing to ask
	next  time.Time
}

func (t *backoff) failed(o ScheduleOptions, now time.Time) {
	t.delay = min(max(2*t.delay, o.BackoffMin), o.BackoffMax)
	t.next = now.Add(t.delay)
}

// NewSchedule makes a schedule of units with the periods of their groups; all are due at now. A unit without groups is never
// polled, and may be on cooldown all the same.
func NewSchedule(o ScheduleOptions, now time.Time, periods [][]time.Duration) *Schedule {
	s := &Schedule{o: o, units: make([]unitState, len(periods))}
	for i, groups := range periods {
		s.units[i].retry.next = now
		for _, every := range groups {
			s.units[i].groups = append(s.units[i].groups, rhythm{every: every, due: now})
		}
	}
	return s
}

// State of one unit.
func (s *Schedule) State(unit int) State { return s.units[unit].state }

// Cooldown keeps a unit from being asked until a moment: an answer that comes late must not be taken for the answer to the next
// request.
func (s *Schedule) Cooldown(unit int, until time.Time) {
	s.units[unit].readyAt = latest(s.units[unit].readyAt, until)
}

// ReadyAt is when the cooldown of a unit ends; it may lie in the past.
func (s *Schedule) ReadyAt(unit int) time.Time { return s.units[unit].readyAt }

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Next is the poll that is to be made now; false: there is none before Wake.
func (s *Schedule) Next(now time.Time) (Job, bool) {
	j, due := s.firstDue()
	var first time.Time
	s.candidates(func(t candidate) {
		fits, forced := s.fits(t, now, due)
		if fits && (first.IsZero() || t.since.Before(first)) {
			j, first = t.Job, t.since
			j.forced = forced
		}
	})
	return j, !first.IsZero() || !due.IsZero() && !due.After(now)
}

// fits is true when a try may be made now; forced: although a poll of another unit is due, or soon will be.
func (s *Schedule) fits(t candidate, now, due time.Time) (fits, forced bool) {
	waited := now.Sub(t.since)
	switch {
	case waited < 0:
		return false, false
	case t.first:
		return true, false
	case due.IsZero() || due.Sub(now) >= s.o.Timeout+s.o.Margin:
		if t.own.IsZero() || waited >= longestPause || t.own.Sub(now) >= 2*s.o.Timeout+s.o.Margin {
			return true, false
		}
	}
	return waited >= longestWait && now.Sub(s.forced) >= longestWait, true
}

// Wake is when Next has a poll again; zero: never.
func (s *Schedule) Wake(now time.Time) time.Time {
	_, wake := s.firstDue()
	s.candidates(func(t candidate) {
		at := t.since
		if !at.After(now) {
			at = t.since.Add(longestPause)
		}
		if !at.After(now) {
			at = t.since.Add(longestWait)
		}
		if !at.After(now) {
			at = s.forced.Add(longestWait)
		}
		if wake.IsZero() || at.Before(wake) {
			wake = at
		}
	})
	return wake
}

// firstDue is the group of a live unit that is due first; a zero time: no unit is live.
func (s *Schedule) firstDue() (j Job, due time.Time) {
	for u := range s.units {
		unit := &s.units[u]
		if unit.state != Live {
			continue
		}
		for g, r := range unit.groups {
			if at := latest(r.due, unit.readyAt); due.IsZero() || at.Before(due) {
				j, due = Job{Unit: u, Group: g}, at
			}
		}
	}
	return j, due
}

// candidate is a try that waits for slack.
type candidate struct {
	Job
	since time.Time // may lie in the future
	own   time.Time // when its own unit is due; zero: that is not live
	first bool      // its unit was never asked
}

// candidates calls f with every try that waits for slack.
func (s *Schedule) candidates(f func(candidate)) {
	for u := range s.units {
		unit := &s.units[u]
		if unit.state != Live {
			if len(unit.groups) > 0 {
				since := latest(unit.retry.next, unit.readyAt)
				f(candidate{Job: Job{Unit: u, Group: unit.turn}, since: since, first: unit.state == Unknown})
			}
			continue
		}
		own := unit.due()
		for g, r := range unit.groups {
			if !r.again.IsZero() {
				f(candidate{Job: Job{Unit: u, Group: g, Part: Remaining}, since: latest(r.again, unit.readyAt), own: own})
			}
			if r.apart.delay > 0 {
				f(candidate{Job: Job{Unit: u, Group: g, Part: Apart}, since: latest(r.apart.next, unit.readyAt), own: own})
			}
		}
	}
}

// due is when the first of its groups is.
func (u *unitState) due() (due time.Time) {
	for _, r := range u.groups {
		if due.IsZero() || r.due.Before(due) {
			due = r.due
		}
	}
	return due
}

// Heard is called after every answer of the unit itself, to a poll or to a command. True: it was not live before.
func (s *Schedule) Heard(unit int, now time.Time) bool {
	u := &s.units[unit]
	u.lastAnswer, u.unanswered = now, 0
	if u.state == Live {
		return false
	}
	u.state, u.retry, u.turn = Live, backoff{}, 0
	s.Resumed(unit, now)
	return true
}

// Resumed is called when a unit can be asked again after a while in which it could not: all of it is due.
func (s *Schedule) Resumed(unit int, now time.Time) {
	for g := range s.units[unit].groups { // in the old rhythm, without what was missed
		r := &s.units[unit].groups[g]
		r.pass(now)
		r.due = r.due.Add(-r.every)
	}
}

// Answered is called after a poll in which every request was answered. remaining: not every block could be asked.
func (s *Schedule) Answered(j Job, remaining bool, now time.Time) {
	s.polled(j, now)
	r := &s.units[j.Unit].groups[j.Group]
	if j.Part == Apart {
		r.apart = backoff{}
		return
	}
	if r.again = (time.Time{}); remaining {
		r.again = now
	}
	if j.Part == Due {
		r.pass(now)
	}
}

// polled is called after every poll.
func (s *Schedule) polled(j Job, now time.Time) {
	if j.forced {
		s.forced = now
	}
}

// SetApart is called when blocks of a group have gone apart; if nothing of the group is tried yet, the first try is planned.
func (s *Schedule) SetApart(unit, group int, now time.Time) {
	if t := &s.units[unit].groups[group].apart; t.delay == 0 {
		t.failed(s.o, now)
	}
}

// Reset is called when the reads of a unit were planned again: nothing remains of its polls, and nothing is apart.
func (s *Schedule) Reset(unit int) {
	for g := range s.units[unit].groups {
		s.units[unit].groups[g].again, s.units[unit].groups[g].apart = time.Time{}, backoff{}
	}
}

// Unanswered is called when a poll ends because a block was not answered. The unit is on cooldown for another timeout.
func (s *Schedule) Unanswered(j Job, q Unanswered, now time.Time) Verdict {
	unit := &s.units[j.Unit]
	r := &unit.groups[j.Group]
	s.polled(j, now)
	s.Cooldown(j.Unit, now.Add(s.o.Timeout))
	if j.Part == Apart && unit.state == Live {
		r.apart.failed(s.o, now)
		return GoesApart
	}
	if j.Part == Due {
		r.pass(now)
	}
	unit.unanswered++
	heard := unit.lastAnswer.After(q.Since)
	patient := s.o.Retries
	if !q.Alone { // the fault may be the block's: another one is asked before the unit is given up
		patient = max(patient, 1)
	}
	switch {
	case unit.state != Live, !heard && unit.unanswered > patient:
		s.dead(unit, now)
		return UnitDead
	case heard && q.Times > s.o.Retries:
		r.again = time.Time{}
		s.SetApart(j.Unit, j.Group, now)
		return GoesApart
	}
	r.again = unit.readyAt.Add(1)
	if other := &unit.groups[(j.Group+1)%len(unit.groups)]; !heard && other != r {
		other.again = now // before this one
	}
	return TryAgain
}

// Postpone is called after GoesApart when other blocks of the group were not asked yet.
func (s *Schedule) Postpone(j Job, now time.Time) { s.units[j.Unit].groups[j.Group].again = now }

func (s *Schedule) dead(u *unitState, now time.Time) {
	u.state = Dead
	u.turn = (u.turn + 1) % len(u.groups)
	u.retry.failed(s.o, now)
	for g := range u.groups {
		u.groups[g].again, u.groups[g].apart = time.Time{}, backoff{}
	}
}

// pass moves due to after now, in whole periods, so that the rhythm stays.
func (r *rhythm) pass(now time.Time) {
	if late := now.Sub(r.due); late >= 0 {
		r.due = r.due.Add((late/r.every + 1) * r.every)
	}
}
