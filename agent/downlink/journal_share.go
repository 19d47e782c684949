package downlink

import (
	"fmt"
	"time"

	"github.com/linkbeat/linkbeat/agent/wire"
)

// The journal has room for so many ids, and who may send commands could fill it. So a device may have as many as are free in
// the pool: alone it gets half of them, the next one half of the rest; and a few of its own, whoever has filled the pool. The
// same holds once more for those whose expires is far away, within a part of their own: what fills the journal is then gone in
// minutes.
const (
	journalLeast  = 16                           // ids that each device may have
	journalPool   = journalMax - 64*journalLeast // ids for whoever asks first: the rest is for journalLeast of each
	journalFar    = 5 * time.Minute              // ahead, from which on expires is far away
	journalFarMax = journalPool / 4              // ids of that kind
)

// forgettable says that the command need not be remembered by itself: the clock refuses it, or it expires later than any command
// of now can, since the clock was ahead when it came. The marks refuse it.
func (e *journalEntry) forgettable(now time.Time) bool {
	ahead := time.UnixMilli(e.Expires).Sub(now)
	return e.Reply != nil && (ahead < -journalMargin || ahead > wire.MaxExpiry+journalMargin)
}

// far says that the command will be remembered for long.
func far(expires int64, now time.Time) bool { return expires > now.Add(journalFar).UnixMilli() }

// room says why a command must not be begun, wrapping errJournalFull; nil: there is room for it. A journal that is full is not
// written again to find that out.
func (j *Journal) room(c command, now time.Time) error {
	all, own, allFar, ownFar := 0, 0, 0, 0
	for _, e := range j.entries {
		if e.forgettable(now) {
			continue
		}
		ours, isFar := e.Name == c.name, far(e.Expires, now)
		all++
		if ours {
			own++
		}
		if isFar {
			allFar++
		}
		if ours && isFar {
			ownFar++
		}
	}
	switch {
	case all >= journalMax:
		return errJournalFull
	case own >= journalLeast && own >= journalPool-all:
		return fmt.Errorf("%w: %d of this device wait in it until they expire, of %d in all", errJournalFull, own, all)
	case far(c.expires, now) && ownFar >= journalFarMax-allFar:
		return fmt.Errorf("%w: %d of this device expire more than %s from now; as far ahead there are %d in all",
			errJournalFull, ownFar, journalFar, allFar)
	}
	return nil
}
