package heartbeat

import (
	"slices"
	"time"
)

const (
	proofs   = 3     // flows that must prove a gap before it serves the main link: the pools of a carrier's NAT may differ
	repeats  = 2     // losses that make a gap a failing one
	fine     = 1.008 // failing over proven at which the search is settled
	fastMost = FastSessions
	day      = 24 * time.Hour
	ageing   = 5 // growth is tried after 1, 2, 4 … 2^ageing days
)

const defaultFloor = time.Second

// Verb is what an Order asks for.
type Verb int

const (
	Open  Verb = iota // open a probe session; say Armed when its silence begins, Gone when it fails
	Test              // the main link publishes to the session's topic now; say Delivered, Lost or Gone
	Close             // close the session; say nothing
)

// Order is what Next wants done with one flow. A flow is one probe session; its number is never used again.
type Order struct {
	Verb   Verb
	Flow   int
	Canary bool // of Open: it watches, and does not learn
}

// want is one flow that was asked for.
type want struct {
	gap    time.Duration
	canary bool // else it learns whether the limit has grown
}

// Evidence is what was seen around a loss.
type Evidence struct {
	MainAlive bool // the main link's publish was acknowledged meanwhile
	SamePath  bool // address and path are those that the flow was opened on
	Closed    bool // the flow ended with a FIN, long before the keepalive: a proxy or broker has a limit, not a NAT

	Took time.Duration // the main link's acknowledgement: the silence may have been longer by as much as this
}

// SearchOptions of NewSearch.
type SearchOptions struct {
	Mode  Mode
	Floor time.Duration // gaps up to this are of no use; if zero or less, 1 s
	Cap   time.Duration // longest gap worth proving; if zero or less, 10 m
	Flows int           // probe sessions at once; if zero or less, 12 (Fast) or 1 (Thrifty)
	After int           // flows are numbered from here on: an answer to a flow of an earlier Search must not meet one of this
}

// Search finds out how long a path may stay silent: which gaps to test on which flows, and what the answers prove. It is owned
// by the link's loop and not safe for concurrent use.
//
// Each flow falls silent, and when it is asked is decided only then: its silence so far is the gap.
type Search struct {
	o SearchOptions

	// of this epoch
	start  time.Time // no order before; zero: none has begun
	rungs  []rung
	hint   time.Duration // the whole of what was remembered, until that is answered
	flows  []*flow       // by number
	last   int           // number of the newest flow, over all epochs
	wants  []want
	rest   bool
	best   proofList     // of each flow, dead ones too
	hi     time.Duration // steers: shortest gap that was lost; 0: none
	hiMost time.Duration // the silence may have been as long as this
	counts int           // losses near hi that count
	unsure int           // losses near hi that wait for a fresh connection
	closed bool          // hi is a FIN's
	at     time.Time     // last proof
	growth int           // how often growth was tried
	growAt time.Time     // when it is tried next; zero: not settled yet
}

// flow is one probe session.
type flow struct {
	id    int
	since time.Time     // its silence began; zero: it speaks
	gap   time.Duration // under test, while asked
	asked bool
	pin   time.Duration // tested exactly then; 0: when it serves best
	used  bool          // was armed before
	done  bool          // it was for one test only
}

// NewSearch returns a Search that waits for PathChanged.
func NewSearch(o SearchOptions) *Search {
	if o.Floor <= 0 {
		o.Floor = defaultFloor
	}
	if o.Cap <= 0 {
		o.Cap = DefaultMax
	}
	if o.Flows <= 0 {
		o.Flows = max(1, map[Mode]int{Fast: fastMost}[o.Mode])
	}
	return &Search{o: o, last: o.After}
}

// PathChanged begins a new epoch: nothing is proven, every flow is forgotten (the owner closes them), and k is a hint for what
// to test first. A k that fails at or below what it had proven says that the limit shrank: the search begins below. No order
// before start.
func (s *Search) PathChanged(start time.Time, k Knowledge) {
	*s = Search{o: s.o, last: s.last, rest: s.rest, start: start, rungs: ladder(s.o.Mode, s.o.Floor, s.o.Cap)}
	switch {
	case k.Failing > 0 && k.Failing <= k.Proven:
		s.hi, s.hiMost, s.counts = k.Failing, k.Failing, 1
	case k.Known():
		s.rungs = hinted(s.rungs, k, s.o.Floor, s.o.Cap)
		s.hint = min(Share(k.Proven, hintPart), s.o.Cap)
	}
}

// Armed is called when a flow's silence begins: after it was opened, and again after each delivery.
func (s *Search) Armed(id int, now time.Time) {
	f := s.flow(id)
	if f == nil {
		return
	}
	if !f.used { // a fresh connection works: what was lost before was lost by the path
		s.counts, s.unsure = s.counts+s.unsure, 0
	}
	f.since, f.asked, f.used = now, false, true
}

// Gone is called when a flow ended for a reason that says nothing about silence.
func (s *Search) Gone(id int) {
	s.flows = slices.DeleteFunc(s.flows, func(f *flow) bool { return f.id == id })
}

// Hold is called when a flow ended in a way that will be judged a moment later, by Lost or Gone: it is not asked meanwhile.
func (s *Search) Hold(id int) {
	if f := s.flow(id); f != nil {
		f.since, f.asked, f.used = time.Time{}, false, true
	}
}

// Waiting reports that the first order of this epoch is still to come.
func (s *Search) Waiting(now time.Time) bool { return s.start.IsZero() || now.Before(s.start) }

// Delivered is called when the nonce of a test arrived after a silence of gap: proof.
func (s *Search) Delivered(id int, gap time.Duration, now time.Time) {
	if f := s.flow(id); f != nil {
		f.since, f.asked, f.done = time.Time{}, false, f.pin > 0
	}
	s.at = now
	s.best.add(id, gap)
	switch {
	case s.hi == 0 || gap < s.hi:
	case gap < s.hiMost: // what was lost there was silent for longer than it seemed
		s.hi = s.hiMost
	default: // it was no limit, or it is none any more
		s.hi, s.hiMost, s.counts, s.unsure, s.closed = 0, 0, 0, 0, false
	}
}

// Lost is called when a nonce did not arrive in time after a silence of gap: a hypothesis. The flow is gone.
func (s *Search) Lost(id int, gap time.Duration, e Evidence) {
	s.Gone(id)
	if !e.MainAlive || !e.SamePath {
		return
	}
	most := gap + e.Took
	s.best.below(most)
	if s.hi > 0 && Share(gap, fine) >= s.hi {
		s.hi, s.hiMost, s.unsure = min(s.hi, gap), min(s.hiMost, max(most, s.hi)), s.unsure+1
		return
	}
	s.hi, s.hiMost, s.counts, s.unsure, s.closed = gap, most, 0, 1, e.Closed
}

// Safe is the silence that may serve the main link: three flows survived it in this epoch, and none failed at it since.
func (s *Search) Safe() time.Duration { return s.best.nth(proofs) }

// Failing is the shortest silence that failed repeatedly; 0: none. Closed says that a FIN was the cause.
func (s *Search) Failing() (gap time.Duration, closed bool) {
	if s.counts < repeats {
		return 0, false
	}
	return s.hi, s.closed
}

// Settled reports that nothing more is to be learnt for now: the cap is reached, or failing and proven meet.
func (s *Search) Settled() bool {
	p, floor := s.Safe(), Share(s.o.Floor, fine)
	failing, _ := s.Failing()
	return p+lateTimer >= s.o.Cap || failing > 0 && (failing <= Share(p+lateTimer, fine) || failing <= floor)
}

// Knowledge is what to keep for the next epoch; its Kind is the owner's to fill in.
func (s *Search) Knowledge() Knowledge {
	failing, _ := s.Failing()
	return Knowledge{Proven: s.Safe(), Failing: failing, At: s.at}
}

// Canary asks for one fresh flow that is tested after exactly gap. While one is wanted already, it does nothing.
func (s *Search) Canary(gap time.Duration) { s.want(want{gap, true}) }

func (s *Search) want(w want) {
	if len(s.wants) == 0 && w.gap > 0 {
		s.wants = append(s.wants, w)
	}
}

// Rest is called when nothing more may be learnt for now, and when it may be again. Canaries go on meanwhile.
func (s *Search) Rest(rest bool) { s.rest = rest }

// Last is the number of the newest flow.
func (s *Search) Last() int { return s.last }

// Open is how many flows there are now.
func (s *Search) Open() int { return len(s.flows) }

func (s *Search) flow(id int) *flow {
	for _, f := range s.flows {
		if f.id == id {
			return f
		}
	}
	return nil
}

// lo is the longest silence that any flow survived.
func (s *Search) lo() time.Duration { return s.best.nth(1) }
