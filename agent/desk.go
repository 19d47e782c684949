package agent

import (
	"time"

	"github.com/linkbeat/linkbeat/agent/wire"
)

// seatsMost is how many consoles and taps a gateway serves at once.
const seatsMost = 8

// seat is one session of a remote console, or of a tap.
type seat struct {
	id, name string
	tap      bool
	heard    time.Time // from the operator
	seq      wire.Sequence
}

// desk says who may have which device, and for how long. Pure: now comes in. The zero value is ready.
type desk struct{ seats map[string]*seat }

// open gives out a seat. Denied, unknown and expired are for the caller to say; here it is busy or, for a repeat of open, duplicate.
func (d *desk) open(id, name string, tap bool, now time.Time) (wire.ErrorCode, string) {
	if d.seats[id] != nil {
		return wire.Duplicate, "the session has begun already"
	}
	if len(d.seats) >= seatsMost {
		return wire.Busy, "the gateway serves no more consoles at once"
	}
	for _, s := range d.seats {
		if !tap && !s.tap && s.name == name {
			return wire.Busy, "session " + s.id + " has the console of this device"
		}
	}
	if d.seats == nil {
		d.seats = map[string]*seat{}
	}
	d.seats[id] = &seat{id: id, name: name, tap: tap, heard: now}
	return "", ""
}

// from is called with each message of a session: false for a repeat, or a session that there is not. What did not come before it is
// missing.
func (d *desk) from(id, name string, seq uint64, now time.Time) (fresh bool, missing uint64) {
	s := d.seats[id]
	if s == nil || s.name != name {
		return false, 0
	}
	if fresh, missing = s.seq.See(seq); fresh {
		s.heard = now
	}
	return fresh, missing
}

// over are the sessions that nobody has renewed in time.
func (d *desk) over(now time.Time) (ids []string) {
	for id, s := range d.seats {
		if now.Sub(s.heard) >= wire.ConsoleLeaseS*time.Second {
			ids = append(ids, id)
		}
	}
	return ids
}

// close is called when a session has ended.
func (d *desk) close(id string) { delete(d.seats, id) }
