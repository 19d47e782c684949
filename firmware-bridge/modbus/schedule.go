package modbus

import "time"

// patience is our own choice: what waited for slack so long is tried all the same, and without slack one try is made in that time.
const patience = time.Minute

// pause is our own choice: what may delay only its own unit waits no longer for a pause of that.
const pause = 10 * time.Second

// ScheduleOptions are the times of a bus.
type ScheduleOptions struct {
	Timeout    time.Duration // for an answer to begin
	Retries    int           // of a unit that answered before, until it counts as dead, and of a block
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

// Part is what of a group is to be read.
type Part byte

// The parts of a group.
const (
	Due   Part = iota // all blocks but those that are apart
	Left              // what the poll before could not ask: the unit had to rest
	Apart             // one of those that stay silent while the unit answers
)

// Job is one poll of one group of one unit.
type Job struct {
	Unit, Group int
	Part        Part

	forced bool // it did not wait for slack any longer
}

// Silence is a block that a unit did not answer, or not as it should.
type Silence struct {
	Times int       // in a row
	Since time.Time // when the poll began in which the first of them was
	Alone bool      // the unit has no other block
}

// Verdict is what becomes of a block, or its unit, after a silence.
type Verdict byte

// The verdicts.
const (
	TryAgain  Verdict = iota // the poll goes on later, with this block as the last one
	GoesApart                // the unit answers, this block does not: it is tried on its own from now on
	UnitDead
)

// Schedule says whose turn it is on one bus. Units that answer are read when they are due, the most overdue first, each in its
// rhythm. What may cost a timeout waits for the slack: the time until the next of them is due. That are units that are dead,
// blocks that a unit never answers, and second tries; these last two also wait some seconds for a pause of their own unit that is long
// enough for the try and the rest after it. So a unit that dies delays the others by one timeout, once; and the dead ones
// by nothing, as long as the bus has a timeout of slack in a minute; else all of them together by a timeout a minute. No try is
// shorter than the timeout: a unit that answers in time is found. A unit that was never asked comes first: how busy a bus is shows
// only when all are known. What is due on a bus that can not do it all is late, and nobody more so than the others.
//
// A unit that rests is asked nothing, and nobody waits for it.
//
// Not safe for concurrent use.
type Schedule struct {
	o      ScheduleOptions
	units  []scheduled
	forced time.Time // the last try without slack
}

type scheduled struct {
	state  State
	rest   time.Time // until then it is asked nothing
	heard  time.Time // last; zero: never
	silent int       // requests since then
	try    trial     // not live
	turn   int       // the group of the next try
	groups []rhythm
}

type rhythm struct {
	every time.Duration
	due   time.Time
	again time.Time // from when on what is left waits for slack; zero: nothing is
	apart trial
}

// trial is something silent that is asked ever more rarely.
type trial struct {
	backoff time.Duration // zero: nothing is tried
	next    time.Time
}

func (t *trial) failed(o ScheduleOptions, now time.Time) {
	t.backoff = min(max(2*t.backoff, o.BackoffMin), o.BackoffMax)
	t.next = now.Add(t.backoff)
}

// NewSchedule makes a schedule of units with the periods of their groups; all are due at now. A unit without groups is never
// polled, and may rest all the same.
func NewSchedule(o ScheduleOptions, now time.Time, periods [][]time.Duration) *Schedule {
	s := &Schedule{o: o, units: make([]scheduled, len(periods))}
	for i, groups := range periods {
		s.units[i].try.next = now
		for _, every := range groups {
			s.units[i].groups = append(s.units[i].groups, rhythm{every: every, due: now})
		}
	}
	return s
}

// State of one unit.
func (s *Schedule) State(unit int) State { return s.units[unit].state }

// Rest keeps a unit from being asked until a moment. An answer that comes too late must not be taken for that to the next question.
func (s *Schedule) Rest(unit int, until time.Time) {
	s.units[unit].rest = latest(s.units[unit].rest, until)
}

// Rested is when a unit may be asked again; it may lie in the past.
func (s *Schedule) Rested(unit int) time.Time { return s.units[unit].rest }

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Next is the poll that is to be made at now; false: none is, see Wake.
func (s *Schedule) Next(now time.Time) (Job, bool) {
	j, due := s.firstDue()
	var first time.Time
	s.tries(func(t try) {
		fits, forced := s.fits(t, now, due)
		if fits && (first.IsZero() || t.since.Before(first)) {
			j, first = t.Job, t.since
			j.forced = forced
		}
	})
	return j, !first.IsZero() || !due.IsZero() && !due.After(now)
}

// fits is true when a try may be made now; forced: although another poll is due, or soon will be.
func (s *Schedule) fits(t try, now, due time.Time) (fits, forced bool) {
	waited := now.Sub(t.since)
	switch {
	case waited < 0:
		return false, false
	case t.first:
		return true, false
	case due.IsZero() || due.Sub(now) >= s.o.Timeout+s.o.Margin:
		if t.own.IsZero() || waited >= pause || t.own.Sub(now) >= 2*s.o.Timeout+s.o.Margin {
			return true, false
		}
	}
	return waited >= patience && now.Sub(s.forced) >= patience, true
}

// Wake is when Next has something again; zero: never.
func (s *Schedule) Wake(now time.Time) time.Time {
	_, wake := s.firstDue()
	s.tries(func(t try) {
		at := t.since
		if !at.After(now) {
			at = t.since.Add(pause)
		}
		if !at.After(now) {
			at = t.since.Add(patience)
		}
		if !at.After(now) {
			at = s.forced.Add(patience)
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
			if at := latest(r.due, unit.rest); due.IsZero() || at.Before(due) {
				j, due = Job{Unit: u, Group: g}, at
			}
		}
	}
	return j, due
}

// try is something that waits for slack.
type try struct {
	Job
	since time.Time // it may lie ahead
	own   time.Time // when its own unit is due; zero: it is not live
	first bool      // its unit was never asked
}

// tries calls f with all that waits for slack.
func (s *Schedule) tries(f func(try)) {
	for u := range s.units {
		unit := &s.units[u]
		if unit.state != Live {
			if len(unit.groups) > 0 {
				f(try{Job: Job{Unit: u, Group: unit.turn}, since: latest(unit.try.next, unit.rest), first: unit.state == Unknown})
			}
			continue
		}
		own := unit.due()
		for g, r := range unit.groups {
			if !r.again.IsZero() {
				f(try{Job: Job{Unit: u, Group: g, Part: Left}, since: latest(r.again, unit.rest), own: own})
			}
			if r.apart.backoff > 0 {
				f(try{Job: Job{Unit: u, Group: g, Part: Apart}, since: latest(r.apart.next, unit.rest), own: own})
			}
		}
	}
}

// due is when the first of its groups is.
func (u *scheduled) due() (due time.Time) {
	for _, r := range u.groups {
		if due.IsZero() || r.due.Before(due) {
			due = r.due
		}
	}
	return due
}

// Heard is called with every answer of the unit itself, to whatever it was asked. True: it was not live before.
func (s *Schedule) Heard(unit int, now time.Time) bool {
	u := &s.units[unit]
	u.heard, u.silent = now, 0
	if u.state == Live {
		return false
	}
	u.state, u.try, u.turn = Live, trial{}, 0
	s.Missed(unit, now)
	return true
}

// Missed is called when a unit can be asked again after a while in which it could not: all of it is due.
func (s *Schedule) Missed(unit int, now time.Time) {
	for g := range s.units[unit].groups { // in the old rhythm, without what was missed
		r := &s.units[unit].groups[g]
		r.pass(now)
		r.due = r.due.Add(-r.every)
	}
}

// Answered is called after a poll without a silence. left: not all of it could be asked.
func (s *Schedule) Answered(j Job, left bool, now time.Time) {
	s.made(j, now)
	r := &s.units[j.Unit].groups[j.Group]
	if j.Part == Apart {
		r.apart = trial{}
		return
	}
	if r.again = (time.Time{}); left {
		r.again = now
	}
	if j.Part == Due {
		r.pass(now)
	}
}

// made is called after every poll.
func (s *Schedule) made(j Job, now time.Time) {
	if j.forced {
		s.forced = now
	}
}

// SetApart is called when blocks of a group are apart that are not tried yet.
func (s *Schedule) SetApart(unit, group int, now time.Time) {
	if t := &s.units[unit].groups[group].apart; t.backoff == 0 {
		t.failed(s.o, now)
	}
}

// Anew is called when nothing is left of the polls of a unit any more, and nothing apart.
func (s *Schedule) Anew(unit int) {
	for g := range s.units[unit].groups {
		s.units[unit].groups[g].again, s.units[unit].groups[g].apart = time.Time{}, trial{}
	}
}

// Silent is called when a poll ends with a silence. The unit rests for another timeout.
func (s *Schedule) Silent(j Job, q Silence, now time.Time) Verdict {
	unit := &s.units[j.Unit]
	r := &unit.groups[j.Group]
	s.made(j, now)
	s.Rest(j.Unit, now.Add(s.o.Timeout))
	if j.Part == Apart && unit.state == Live {
		r.apart.failed(s.o, now)
		return GoesApart
	}
	if j.Part == Due {
		r.pass(now)
	}
	unit.silent++
	heard := unit.heard.After(q.Since)
	patient := s.o.Retries
	if !q.Alone { // it may be the block: another is asked before the unit is given up
		patient = max(patient, 1)
	}
	switch {
	case unit.state != Live, !heard && unit.silent > patient:
		s.dead(unit, now)
		return UnitDead
	case heard && q.Times > s.o.Retries:
		r.again = time.Time{}
		s.SetApart(j.Unit, j.Group, now)
		return GoesApart
	}
	r.again = unit.rest.Add(1)
	if other := &unit.groups[(j.Group+1)%len(unit.groups)]; !heard && other != r {
		other.again = now // which comes before
	}
	return TryAgain
}

// Leave is called after GoesApart when others of the group were not asked yet.
func (s *Schedule) Leave(j Job, now time.Time) { s.units[j.Unit].groups[j.Group].again = now }

func (s *Schedule) dead(u *scheduled, now time.Time) {
	u.state = Dead
	u.turn = (u.turn + 1) % len(u.groups)
	u.try.failed(s.o, now)
	for g := range u.groups {
		u.groups[g].again, u.groups[g].apart = time.Time{}, trial{}
	}
}

// pass moves due on to after now, in steps: the rhythm stays.
func (r *rhythm) pass(now time.Time) {
	if late := now.Sub(r.due); late >= 0 {
		r.due = r.due.Add((late/r.every + 1) * r.every)
	}
}
