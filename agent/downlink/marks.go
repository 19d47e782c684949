package downlink

import (
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

// apart is how far from the others an expires must lie to begin a stretch, in ms.
const apart = int64(wire.MaxExpiry / time.Millisecond)

// with adds the expires from low to high.
func (m marks) with(low, high int64) marks {
	var below, above marks
	for _, s := range m {
		switch {
		case s.High < low-apart:
			below = append(below, s)
		case s.Low > high+apart:
			above = append(above, s)
		default:
			low, high = min(low, s.Low), max(high, s.High)
		}
	}
	m = append(append(below, stretch{low, high}), above...)
	if len(m) > marksMax {
		m[1].Low = m[0].Low
		m = m[1:]
	}
	return m
}

// reach is the highest expires that counts now, in Unix ms: what expires then or before may have been carried out, whatever the
// clock says. A stretch that begins later than a command may expire at all says nothing of the commands of today: the clock was
// ahead when they came.
func (m marks) reach(now int64) (high int64) {
	for _, s := range m {
		if s.Low <= now+apart {
			high = s.High
		}
	}
	return high
}
