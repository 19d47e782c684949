package console

import (
	"cmp"
	"fmt"
	"time"

	"github.com/linkbeat/linkbeat/agent/flood"
	"github.com/linkbeat/linkbeat/agent/wire"
)

// leasesMost is how many consoles and taps a gateway serves at once, those included that are about to end: each has its
// goroutines and its buffers until it has ended. And so fast sessions begin, whoever asks.
const (
	leasesMost      = 8
	opensBurst      = 2 * leasesMost
	opensEachMinute = 20
)

// keeps lets through the renewals of one session, and twice as many: what is more renews as well, and is refused. Each session
// has its own: nobody takes the answer from another.
func keeps() flood.Bucket {
	return flood.Bucket{Burst: 4, PerMinute: float64(2 * time.Minute / (wire.ConsoleRenewS * time.Second))}
}

// lease is one session of a remote console, or of a tap.
type lease struct {
	id, name string
	who      string
	tap      bool
	begun    time.Time
	heard    time.Time // from the operator
	seq      wire.Sequence
	ending   bool // its device is free, its seat is not
}

// leases says who may have which device, and for how long. Pure: now comes in. The zero value is ready.
type leases struct {
	held  map[string]*lease
	gone  map[string]time.Time // sessions that have ended, until their open would be too late anyway
	opens flood.Bucket
}

// knows a session that is there, or has ended lately: open is carried out once.
func (d *leases) knows(id string, now time.Time) bool {
	for id, until := range d.gone {
		if now.After(until) {
			delete(d.gone, id)
		}
	}
	_, gone := d.gone[id]
	return gone || d.held[id] != nil
}

// open gives out a lease. Denied, unknown, expired and repeats are for the caller to say; here it is busy.
func (d *leases) open(id, name, who string, tap bool, now time.Time) (wire.ErrorCode, string) {
	if len(d.held) >= leasesMost {
		return wire.Busy, fmt.Sprintf("the gateway serves no more than %d consoles and taps at once: close one", leasesMost)
	}
	for _, s := range d.held {
		if !tap && !s.tap && !s.ending && s.name == name {
			return wire.Busy, fmt.Sprintf("%s has the console of this device for %s", cmp.Or(s.who, "somebody"),
				now.Sub(s.begun).Round(time.Second))
		}
	}
	if d.held == nil {
		d.held, d.gone = map[string]*lease{}, map[string]time.Time{}
		d.opens = flood.Bucket{Burst: opensBurst, PerMinute: opensEachMinute}
	}
	if !d.opens.Take(now) {
		return wire.Busy, fmt.Sprintf("more than %d sessions were opened in a minute, or %d at once: try again in a few seconds",
			opensEachMinute, opensBurst)
	}
	d.held[id] = &lease{id: id, name: name, who: who, tap: tap, begun: now, heard: now}
	return "", ""
}

// from is called with each message of a session: false for a repeat, or a session that there is not. What did not
// come before it is missing.
func (d *leases) from(id, name string, seq uint64, now time.Time) (fresh bool, missing uint64) {
	s := d.held[id]
	if s == nil || s.ending || s.name != name {
		return false, 0
	}
	if fresh, missing = s.seq.See(seq); fresh {
		s.heard = now
	}
	return fresh, missing
}

// expired returns the sessions that were not renewed in time.
func (d *leases) expired(now time.Time) (ids []string) {
	for id, s := range d.held {
		if !s.ending && now.Sub(s.heard) >= wire.ConsoleLeaseS*time.Second {
			ids = append(ids, id)
		}
	}
	return ids
}

// ends is called when a session is about to end: its device is free for the next, and nothing that it says counts any more.
func (d *leases) ends(id string) {
	if s := d.held[id]; s != nil {
		s.ending = true
	}
}

// close is called when a session has ended: its goroutines and buffers are gone, and its seat is free.
func (d *leases) close(id string, now time.Time) {
	delete(d.held, id)
	d.gone[id] = now.Add(wire.ConsoleOpenS * time.Second)
}
