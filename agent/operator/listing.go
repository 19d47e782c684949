package operator

import (
	"fmt"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/agent/wire"
)

// What a list of gateways may take, whatever a broker sends.
const (
	devicesMost  = 30 * time.Second // that it is waited for, while retained messages still come
	devicesCount = 10_000
	devicesBytes = 16 << 20 // in memory, about
	entryBytes   = 200      // of a gateway, and of each of its ports and facts, beside their texts
)

// listing gathers what is retained of gateways. A broker sends that right after the subscription is granted, and says nothing
// at the end of it, so the list is whole when no more comes for a while. What gateways say meanwhile is no reason to wait: on
// a live fleet they always say something. Pure; now is an argument.
type listing struct {
	topics wire.Topics
	settle time.Duration
	begun  time.Time
	last   time.Time // when something retained came
	known  map[string]Device
	bytes  int
	left   int64 // messages that are left out
	beyond int64 // of them those of gateways that are not in the list
}

func newListing(t wire.Topics, settle time.Duration, now time.Time) *listing {
	return &listing{topics: t, settle: settle, begun: now, last: now, known: map[string]Device{}}
}

// until is when the list is whole if nothing comes.
func (l *listing) until() time.Time {
	quiet, most := l.last.Add(l.settle), l.most()
	if most.Before(quiet) {
		return most
	}
	return quiet
}

// most is when it ends whatever comes.
func (l *listing) most() time.Time { return l.begun.Add(max(devicesMost, 2*l.settle)) }

// note books what one message says of a gateway. An empty payload is a deleted one [MQTT-3.3.1-10].
func (l *listing) note(m message, now time.Time) {
	if m.retained {
		l.last = now
	}
	if len(m.payload) == 0 {
		return
	}
	if found, ok := wire.Match(l.topics.State, m.topic); ok {
		d := l.known[found["id"]]
		if s, err := wire.ParseState(m.payload); err == nil {
			d.State = &s
		}
		l.put(found["id"], d)
	}
	if found, ok := wire.Match(l.topics.Info, m.topic); ok {
		d := l.known[found["id"]]
		if i, err := wire.ParseInfo(m.payload); err == nil {
			d.Info = &i
		}
		l.put(found["id"], d)
	}
}

// put keeps d, unless there is no room.
func (l *listing) put(id string, d Device) {
	before, known := l.known[id]
	d.ID = strings.Clone(id) // a topic may be long
	more := d.bytes()
	if known {
		more -= before.bytes()
	}
	if more > 0 && l.bytes+more > devicesBytes || !known && len(l.known) >= devicesCount {
		if l.left++; !known {
			l.beyond++
		}
		return
	}
	l.bytes += more
	l.known[d.ID] = d
}

// bytes is what d takes in memory, about.
func (d Device) bytes() int {
	n := entryBytes + len(d.ID)
	if s := d.State; s != nil {
		n += entryBytes + len(s.Epoch) + len(s.Version) + len(s.Server)
	}
	if i := d.Info; i != nil {
		n += entryBytes + len(i.Path)
		for name, p := range i.Ports {
			n += entryBytes + len(name) + len(p.Port) + len(p.State) + len(p.Why)
		}
		for name, fact := range i.Facts {
			n += entryBytes + len(name) + len(fact)
		}
	}
	return n
}

// notices say why the list is not whole; none: it is.
func (l *listing) notices(now time.Time) (all []string) {
	if l.left > 0 {
		all = append(all, fmt.Sprintf("the list is not whole: %d gateways are shown; %d messages, %d of them of other gateways, "+
			"are left out: look at fewer at once with --prefix", len(l.known), l.left, l.beyond))
	}
	if !now.Before(l.most()) {
		all = append(all, fmt.Sprintf("the broker still sends retained messages after %v: the list may not be whole; wait "+
			"longer with --settle, or look at fewer at once with --prefix", now.Sub(l.begun).Round(time.Second)))
	}
	return all
}
