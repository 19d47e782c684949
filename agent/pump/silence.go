package pump

import "github.com/linkbeat/linkbeat/agent/spool"

const (
	silentInRow = 8 // publishes of one source that went missing, with none acknowledged since: no more on this session
	silentTried = 2 // that are sent on the next one, until one is acknowledged
)

// source is a stream in its lane: in what is published, a topic.
type source struct {
	lane   *lane
	stream string
}

func (p *publish) source() source { return source{p.lane, p.stream} }

// place is a record in the spool of a lane.
type place struct {
	lane *lane
	pos  spool.Pos
}

func (p *publish) first() place { return place{p.lane, p.positions[0]} }

// silences are the sources of which the server acknowledges nothing while it acknowledges others. Each is held back to a few
// publishes on a session: else one topic would take up all that the window slides past, and with it the others' room. Held back
// is passed over; when the server acknowledges one after all, the lanes go over what was. Owned by the pump's loop; pure.
type silences struct {
	of   map[source]*silence
	over bool // one that records were passed over of is over: the lanes must go over them

	borne []place // first records of publishes that went missing: the server did not close the session at them
}

// borneMost is how many of these are kept, the newest: more are not missing on one session.
const borneMost = 64

type silence struct {
	inRow  int  // went missing on this session since one was acknowledged
	sent   int  // on this session
	tried  bool // it went missing on the session before too
	passed bool // records of it were passed over on this session
}

// missing is called with each publish that has become missing.
func (d *silences) missing(p *publish) {
	s := p.source()
	if d.of == nil {
		d.of = map[source]*silence{}
	}
	if d.of[s] == nil {
		d.of[s] = &silence{}
	}
	d.of[s].inRow++
	if !d.bore(p) {
		d.borne = append(d.borne[max(0, len(d.borne)-borneMost+1):], p.first())
	}
}

// bore tells whether the server got p, on this session or an earlier one, and did not close it.
func (d *silences) bore(p *publish) bool {
	for _, b := range d.borne {
		if b == p.first() {
			return true
		}
	}
	return false
}

// sent is called with the source of each publish.
func (d *silences) sent(s source) {
	if one := d.of[s]; one != nil {
		one.sent++
	}
}

// acked is called with each publish that was acknowledged.
func (d *silences) acked(p *publish) {
	if one := d.of[p.source()]; one != nil {
		d.over = d.over || one.passed
		delete(d.of, p.source())
	}
}

// holds tells whether nothing more of s may be sent on this session, of a record that is passed over then.
func (d *silences) holds(s source) bool {
	one := d.of[s]
	if one == nil || one.inRow < silentInRow && !(one.tried && one.sent >= silentTried) {
		return false
	}
	one.passed = true
	return true
}

// ended is called at the end of a session; the lanes start over.
func (d *silences) ended() {
	d.over = false
	for _, one := range d.of {
		*one = silence{tried: true}
	}
}
