package delivery

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	sizeFloor  = 256            // bytes of payload that pass everywhere: a server that takes less is of no use
	sizeFor    = 24 * time.Hour // that a server is believed to refuse a size, and that nobody can tell
	sizeGrowth = 2              // times what passed: what is tried beside a second record that is larger than any before it
)

// The names of sizes among what is stored of topics, which none of those can have.
const (
	storedPasses  = "#passes"  // bytes
	storedRefused = "#refused" // bytes, and since when, in Unix seconds
)

// Fate is what becomes of a message because of its size.
type Fate int

// What becomes of a message.
const (
	Goes      Fate = iota // it is published
	Waits                 // until another one was tried
	Tries                 // it is tried itself: Keeper.Outcome says what came of it
	TooLarge              // the server does not take it
	Delivered             // by the trial
)

// sizes is what is known of the sizes of payload that a server takes, for one login. Pure: now comes in. The zero value knows
// nothing.
//
//	up to what passed once     published, and never tried again
//	larger                     the first is itself the trial, published once beside the link; the others wait, 10 s at most
//	refused, and larger        in quarantine, or in smaller batches; tried again after sizeFor and when a person says so
//	nobody can tell, or no budget   published
type sizes struct {
	passes  int       // the largest that was seen to; 0: none
	refused int       // the smallest that was seen not to, until then; 0: none
	until   time.Time // of refused
	blind   time.Time // until then nothing is tried
	gap     time.Duration
	deaf    int // bytes that nobody can tell of; 0: none
	why     string
}

// known is how many bytes pass.
func (s *sizes) known() int { return max(s.passes, sizeFloor) }

// limit is the smallest size that the server does not take; 0: none is known.
func (s *sizes) limit(now time.Time) int {
	if now.Before(s.until) {
		return s.refused
	}
	return 0
}

// fate is what becomes of a payload of n bytes.
func (s *sizes) fate(n int, now time.Time) Fate {
	switch most := s.limit(now); {
	case n <= s.known():
		return Goes
	case most > 0 && n >= most:
		return TooLarge
	case now.Before(s.blind):
		return Goes
	}
	return Tries
}

// next is what is tried beside a payload of n bytes, so that a series that grows byte by byte costs few trials: half-way to what
// is refused, or twice as much. Not beside the first one: most devices have one size.
func (s *sizes) next(n int, now time.Time) int {
	if most := s.limit(now); most > 0 {
		return (n + most) / 2
	}
	if s.passes == 0 {
		return 0
	}
	return sizeGrowth * n
}

// price is what a trial of n bytes may cost, in bytes.
func (s *sizes) price(n int, now time.Time) int { return sizeGrowth*(n+s.next(n, now)) + sessionPrice }

// sessionPrice is for the sessions of a trial, with TLS.
const sessionPrice = 8 << 10

// passed is called when n bytes did.
func (s *sizes) passed(n int) {
	if s.passes = max(s.passes, n); s.passes >= s.refused {
		s.refused, s.until = 0, time.Time{}
	}
	s.gap, s.deaf, s.blind = 0, 0, time.Time{}
}

// refuses is called when n bytes were refused, and how.
func (s *sizes) refuses(n int, why string, now time.Time) {
	if n <= s.passes { // the server has another limit than it had
		s.passes = 0
	}
	if most := s.limit(now); most == 0 || n < most {
		s.refused, s.why = n, why
	}
	s.until, s.gap, s.blind = now.Add(sizeFor), 0, time.Time{}
}

// untold is called when nobody can tell of n bytes. deaf: and that will not change by itself.
func (s *sizes) untold(n int, deaf bool, now time.Time) {
	s.gap = min(max(2*s.gap, failedFirst), retryMost)
	if deaf {
		s.gap, s.deaf = sizeFor, n
	}
	s.blind = now.Add(s.gap)
}

// mended is called when a person may have mended something.
func (s *sizes) mended() { s.until, s.blind, s.gap, s.deaf = time.Time{}, time.Time{}, 0, 0 }

// restore takes what was stored not after at, and returns whether it was about sizes.
func (s *sizes) restore(name, value string, at time.Time) bool {
	n, _ := strconv.ParseInt(value[:max(0, strings.IndexByte(value+" ", ' '))], 10, 32)
	switch name {
	case storedPasses:
		s.passes = int(max(0, n))
	case storedRefused:
		_, since, _ := strings.Cut(value, " ")
		seconds, _ := strconv.ParseInt(since, 10, 64)
		s.refused, s.until = int(max(0, n)), time.Unix(min(seconds, at.Unix()), 0).Add(sizeFor)
	default:
		return false
	}
	return true
}

// store is restore, the other way.
func (s *sizes) store(all map[string]string, now time.Time) {
	if s.passes > 0 {
		all[storedPasses] = strconv.Itoa(s.passes)
	}
	if most := s.limit(now); most > 0 {
		all[storedRefused] = fmt.Sprintf("%d %d", most, s.until.Add(-sizeFor).Unix())
	}
}
