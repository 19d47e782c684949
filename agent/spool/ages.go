package spool

import "time"

// Clock is what ages are counted by: what has passed, whatever the wall clock says meanwhile. The zero value takes Options.Now
// for a clock that is right and that nobody sets.
type Clock struct {
	Boot     uint32               // names this boot of the machine; 0: not known, and nothing found by Open is of this boot then
	Uptime   func() time.Duration // since that boot, through sleep; if nil, what Now has gone on by since Open
	Believed func() bool          // the wall clock is right; if nil, it always is
}

// A note is what the clocks of the machine said at the same moment. It stands in a segment before the records whose uptime can
// be told from their wall time by it: at its beginning, and again wherever the wall clock was set. On disk it is a record of
// position 0, which a version that knows no notes skips as a copy: uptime in ms as its number, the boot as its epoch, and one
// byte of data, which is 1 where the wall clock was believed.
type note struct {
	boot     uint32
	up       time.Duration
	wall     int64 // Unix ms
	believed bool
}

// noteDrift is how far wall clock and uptime may drift apart before there is another note.
const noteDrift = time.Second

// noted is the note of the moment at which r was appended.
func noted(boot uint32, r *record) note { return note{boot, r.up, r.at.UnixMilli(), r.believed} }

// upOf is the uptime at which something was appended at that wall time, Unix ms.
func (n note) upOf(wall int64) time.Duration { return n.up + between(n.wall, wall) }

// between is the time from one wall time to another, both Unix ms; what is more than a century counts as one.
func between(from, to int64) time.Duration {
	const century = 100 * 365 * 24 * 3600 * 1000
	from, to = min(max(from, -century), 10*century), min(max(to, -century), 10*century) // so that nothing overflows
	return time.Duration(min(max(to-from, -century), century)) * time.Millisecond
}

// tells tells whether a record with that note of its own can do with this one.
func (n note) tells(own note) bool {
	return n.boot == own.boot && n.believed == own.believed && (n.upOf(own.wall)-own.up).Abs() <= noteDrift
}

func (n note) appendTo(dst []byte) []byte {
	r := record{seq: Seq(n.up / time.Millisecond), epoch: n.boot, at: time.UnixMilli(n.wall), data: []byte{0}}
	if n.believed {
		r.data[0] = 1
	}
	return r.appendTo(dst)
}

// noteOf is the note that r is, and whether it is one.
func noteOf(r *record) (note, bool) {
	if r.pos != 0 || r.gap != nil || len(r.data) != 1 {
		return note{}, false
	}
	return note{r.epoch, time.Duration(r.seq) * time.Millisecond, r.at.UnixMilli(), r.data[0] == 1}, true
}

// uptime is the clock of all ages.
func (o *Options) uptime(now time.Time) time.Duration {
	if o.Clock.Uptime == nil {
		return now.Sub(o.opened)
	}
	return o.Clock.Uptime()
}

// stamp is a record of now.
func (o *Options) stamp(epoch uint32) record {
	believed, now := o.believed(), o.Now() // in this order: a clock is set first, and believed then
	return record{at: now, up: o.uptime(now), believed: believed, epoch: epoch}
}

func (o *Options) believed() bool { return o.Clock.Believed == nil || o.Clock.Believed() }

// era is a boot of the machine of which segments hold records: one after the other, as they lie on disk.
type era struct {
	boot     uint32
	last     time.Duration // the latest uptime that is known of it
	since    int64         // wall time of its boot, Unix ms, by a clock that was believed
	believed bool          // there is since
}

const noEra = -1

// eras tells how old what Open found is. Uptime is certain and adds up over boots; how long the machine was off in between
// only a wall clock knows, and only one that was believed then and is believed now. What is not known makes nothing older.
type eras struct {
	list   []era
	up     time.Duration // of the last one
	note   *note         // the last one in the segment; nil: there was none
	damage int64         // stretches of damage in the segment before it
}

// segmentBegins is called before what is read of each segment.
func (e *eras) segmentBegins() { e.note = nil }

// noted is called with each note; damage counts the stretches of damage before it in the segment.
func (e *eras) noted(n note, damage int64) {
	e.note, e.damage = &n, damage
	if len(e.list) == 0 || e.list[len(e.list)-1].boot != n.boot {
		e.list, e.up = append(e.list, era{boot: n.boot}), 0
	}
	e.passed(n.up)
	if n.believed {
		of := &e.list[len(e.list)-1]
		of.since, of.believed = n.wall-n.up.Milliseconds(), true
	}
}

// passed is called with an uptime of the last era. Uptime never goes back.
func (e *eras) passed(up time.Duration) {
	e.up = max(e.up, up)
	e.list[len(e.list)-1].last = e.up
}

// record is called with each record of g, after g has taken it. A note before damage is not believed for what is behind it: one
// that said how the clock was set may have been in there.
func (e *eras) record(g *segment, r *record, damage int64) {
	if e.note == nil { // written by a version that knows no notes
		return
	}
	if damage == e.damage {
		e.passed(e.note.upOf(r.at.UnixMilli()))
	}
	if g.era == noEra {
		g.oldest = e.up
	}
	g.newest, g.era = e.up, len(e.list)-1
}

// settle turns the times of a segment, which count from the boot of its era, into such that count from the boot of now.
func (e *eras) settle(g *segment, boot uint32, up time.Duration) {
	if g.era == noEra {
		g.oldest, g.newest, g.guess = up, up, true
		return
	}
	of, last := e.list[g.era], len(e.list)-1
	if current := g.era == last && of.boot == boot && boot != 0; current {
		g.oldest, g.newest = min(g.oldest, up), min(g.newest, up)
		return
	}
	g.guess = true
	behind := of.last // the uptime of its era at which the boot of now began, at the soonest
	for i := g.era + 1; i <= last; i++ {
		if next := e.list[i]; next.boot != 0 && !(i == last && next.boot == boot) {
			behind += next.last
		}
	}
	if boot == 0 {
		behind -= up
	}
	if of.believed {
		g.wall = of.since + g.newest.Milliseconds()
	}
	g.oldest, g.newest = min(g.oldest-behind, up), min(g.newest-behind, up)
}

// creditOff adds to the ages of what earlier boots left how long the machine was off, as soon as the wall clock is believed, and
// once: what happens to that clock later is of no concern.
func (d *disk) creditOff(up time.Duration) {
	if d.offKnown || !d.o.believed() {
		return
	}
	d.offKnown = true
	now := d.o.Now().UnixMilli()
	for _, g := range d.segments {
		if g.wall == 0 {
			continue
		}
		if off := between(g.wall, now) - (up - g.newest); off > 0 {
			g.oldest, g.newest = g.oldest-off, g.newest-off
		}
	}
}

// frames is its size without notes.
func (g *segment) frames() int64 { return g.size - g.notes }

// upOf is when a record of the segment that was read from disk was appended, within what the segment is known to span. Where that
// is only a bound, an older time by the wall clock of then is as good: it drops nothing, and marks what is late.
func (g *segment) upOf(r *record, o *Options) time.Duration {
	at := g.oldest + between(g.began, r.at.UnixMilli())
	at = min(max(at, g.oldest), g.newest)
	if g.guess {
		now := o.Now()
		at = min(at, o.uptime(now)-between(r.at.UnixMilli(), now.UnixMilli()))
	}
	return at
}
