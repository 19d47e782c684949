package operator

import "time"

// Patience is how long a number that was passed over may still come: what waited through an outage comes beside what is read now,
// and out of order.
const Patience = 10 * time.Minute

// maxOpen bounds the holes that may still be filled; of more the oldest are judged at once.
const maxOpen = 1 << 12

// hole is a run of numbers that was passed over.
type hole struct {
	item  Item   // that tells it
	name  string // of the stream
	since time.Time
}

// holes are those that may still be filled, the oldest first. Owned by one goroutine; pure: now comes in.
type holes struct{ open []hole }

// add is called when numbers are passed over.
func (h *holes) add(it Item, name string, now time.Time) {
	h.open = append(h.open, hole{it, name, now})
}

// due are those that can be judged now.
func (h *holes) due(now time.Time) (due []hole) {
	n := max(0, len(h.open)-maxOpen)
	for n < len(h.open) && now.Sub(h.open[n].since) >= Patience {
		n++
	}
	due, h.open = h.open[:n], h.open[n:]
	return due
}

// next is when the next one can be judged; zero: there is none.
func (h *holes) next() time.Time {
	if len(h.open) == 0 {
		return time.Time{}
	}
	return h.open[0].since.Add(Patience)
}

// still is how many numbers may still come.
func (h *holes) still(seen *Tracker) (n int64) {
	for _, o := range h.open {
		for _, r := range seen.Missing(o.name, o.item.Hole.Epoch, o.item.Hole.Range) {
			n += r.size()
		}
	}
	return n
}
