package pump

import (
	"slices"
	"time"

	"github.com/linkbeat/linkbeat/agent/spool"
)

const (
	closesToSuspect = 3               // by the server, in a row, with the same record the oldest in flight
	isolatedFor     = 64              // publishes that are sent one at a time then, at least
	quietFor        = 2 * time.Second // a session of a suspect record must live so long before that record is sent

	offencesToHold = 3                // in a row, of one stream: then it is not the record, but its topic
	holdFor        = 15 * time.Minute // that the stream is held back, and then tried again
)

// suspects finds the record at which a server closes the connection: too large for it, or on a topic that it does not allow.
// Sent again at each reconnect, that record would stop the uplink for good.
//
//	closed thrice with the same oldest record in flight ─▶ isolated: each record alone, and nothing before the session has
//	                                                       lived for quietFor
//	closed again, with that record alone in flight      ─▶ it is poison; isolation goes on, the next one may be no better
//	acknowledged                                        ─▶ it is cleared; if it came in a batch, that was too large
//	three poison records in a row of one stream         ─▶ the stream is held back in the spool for holdFor
//
// Only what the server closes counts. Silence and a broken path accuse no record, and a server that closes sessions on which
// nothing was sent yet has troubles of its own. Owned by the pump's loop; pure: now comes in.
type suspects struct {
	lane   *lane
	first  spool.Pos // of the publish that was the oldest in flight at the last close
	closes int       // in a row with that one

	isolated   int       // so many publishes more are sent one at a time; 0: no suspicion
	quietUntil time.Time // of this session; zero: it need not be quiet
	batch      *publish  // that led to isolation; nil: it was no batch, or one of its records was poison

	offenders map[string]*offender // by name
}

// offender is a stream with poison records.
type offender struct {
	inRow int       // poison records since the last one that was acknowledged
	until time.Time // the stream is held back; zero: it is not
}

// connected is called with each new session.
func (d *suspects) connected(now time.Time) {
	d.quietUntil = time.Time{}
	if d.closes >= closesToSuspect {
		d.quietUntil = now.Add(quietFor)
	}
}

// hold tells whether nothing may be sent now, and until when, which is zero while it waits for what is in flight.
func (d *suspects) hold(now time.Time, inFlight int) (bool, time.Time) {
	if now.Before(d.quietUntil) {
		return true, d.quietUntil
	}
	return d.isolated > 0 && inFlight > 0, time.Time{}
}

// holds tells whether a stream is held back.
func (d *suspects) holds(stream string) bool {
	g := d.offenders[stream]
	return g != nil && !g.until.IsZero()
}

// expired tells whether a stream was held back for long enough.
func (d *suspects) expired(now time.Time) bool {
	at := d.wake()
	return !at.IsZero() && !now.Before(at)
}

// wake is when a stream was held back for long enough; zero: none is held back.
func (d *suspects) wake() (first time.Time) {
	for _, g := range d.offenders {
		if !g.until.IsZero() && (first.IsZero() || g.until.Before(first)) {
			first = g.until
		}
	}
	return first
}

// release lets the streams go that were held back for long enough; their records go isolated at first.
func (d *suspects) release(now time.Time) {
	for _, g := range d.offenders {
		if !g.until.IsZero() && !now.Before(g.until) {
			g.until = time.Time{}
			d.isolated = max(d.isolated, isolatedFor)
		}
	}
}

// held are the streams that are held back.
func (d *suspects) held() (streams []string) {
	for stream := range d.offenders {
		if d.holds(stream) {
			streams = append(streams, stream)
		}
	}
	slices.Sort(streams)
	return streams
}

// acked is called with each publish that was acknowledged.
func (d *suspects) acked(p *publish) {
	delete(d.offenders, p.stream)
	if d.is(p) {
		d.lane, d.closes = nil, 0
	}
	if d.isolated == 0 {
		return
	}
	if d.isolated--; d.isolated == 0 && d.batch != nil {
		d.batch.lane.most[d.batch.stream] = d.batch.size / 2
		d.batch = nil
	}
}

// lost is called after a session was lost with oldest in flight, one of inFlight. It tells whether oldest is poison.
func (d *suspects) lost(oldest *publish, inFlight int, closed bool, now time.Time) (poison bool) {
	switch {
	case !closed && d.isolated == 0:
		d.closes = 0
		return false
	case !closed:
		return false
	case d.is(oldest):
		d.closes++
	default:
		d.lane, d.first, d.closes = oldest.lane, oldest.positions[0], 1
		if d.isolated > 0 { // it was alone
			d.closes = closesToSuspect
		}
	}
	if d.closes < closesToSuspect {
		return false
	}
	poison = d.closes > closesToSuspect && inFlight == 1 && len(oldest.positions) == 1 && !d.quietUntil.IsZero()
	if len(oldest.positions) > 1 {
		d.batch = oldest
	}
	if poison {
		d.lane, d.closes, d.batch = nil, 0, nil
		d.blame(oldest.stream, now)
	}
	d.isolated = max(d.isolated, isolatedFor, len(oldest.positions))
	return poison
}

func (d *suspects) blame(stream string, now time.Time) {
	if d.offenders == nil {
		d.offenders = map[string]*offender{}
	}
	g := d.offenders[stream]
	if g == nil {
		g = &offender{}
		d.offenders[stream] = g
	}
	if g.inRow++; g.inRow >= offencesToHold {
		g.until = now.Add(holdFor)
	}
}

func (d *suspects) is(p *publish) bool { return d.lane == p.lane && d.first == p.positions[0] }
