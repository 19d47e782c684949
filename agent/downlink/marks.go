package downlink

import (
	"cmp"
	"slices"
	"time"

	"github.com/linkbeat/linkbeat/agent/wire"
)

// stretch are expires of commands, in Unix ms, that lie close to each other.
type stretch struct {
	Low  int64 `json:"low"`
	High int64 `json:"high"`
}

// marks are the expires of commands that are not known one by one, as stretches in order. One number would do if clocks were
// right: the highest. But a clock that was ten years ahead for a minute, and a command that was carried out then, would make it
// refuse every command for ten years. So an expires that no command of the same time can have begins a stretch of its own.
type marks []stretch

// marksMax bounds them. Beyond it the two lowest are one: what stands apart far ahead is the highest.
const marksMax = 8

// with adds the expires from low to high.
func (m marks) with(low, high int64) marks {
	const apart = int64(wire.MaxExpiry / time.Millisecond)
	m = append(slices.Clone(m), stretch{low, high})
	slices.SortFunc(m, func(a, b stretch) int { return cmp.Compare(a.Low, b.Low) })
	var joined marks
	for _, s := range m {
		if last := len(joined) - 1; last >= 0 && s.Low-joined[last].High <= apart {
			joined[last].High = max(joined[last].High, s.High)
		} else {
			joined = append(joined, s)
		}
	}
	for len(joined) > marksMax {
		joined[1].Low = joined[0].Low
		joined = joined[1:]
	}
	return joined
}

// reach is the highest expires that counts now: what expires then or before may have been carried out, whatever the clock says. A
// stretch that begins later than a command may expire at all says nothing of the commands of today: the clock was ahead when they
// came.
func (m marks) reach(now time.Time) int64 {
	most, high := now.Add(wire.MaxExpiry).UnixMilli(), int64(0)
	for _, s := range m {
		if s.Low <= most {
			high = s.High
		}
	}
	return high
}
