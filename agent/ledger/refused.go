package ledger

import (
	"fmt"
	"time"

	"github.com/linkbeat/linkbeat/agent/statuspage"
	"github.com/linkbeat/linkbeat/config"
)

// What nobody takes has a part of the budget of its own, so that it never takes that of telemetry. Once it is used up, refused
// messages are not answered any more; and where they go on, commands are not listened to for a while: what a server sends
// cannot be stopped in another way.
const (
	refusedPart  = 0.05             // of the budget
	refusedGrace = 1.0 / 32         // of that part: so much more may come before commands are not listened to
	refusedLeast = 4 << 10          // bytes, the least that may
	muteFirst    = 10 * time.Minute // not listened to; twice as long each time that it goes on
	muteLongest  = 24 * time.Hour
)

// refusedOf is what of some bytes was refused, with its part of the headers and of what TLS adds, which are counted for all
// together.
func refusedOf(more statuspage.Bytes) int64 {
	around := more.Headers + more.Overhead
	payload := more.Sum() - around
	if more.Refused <= 0 || payload <= 0 {
		return 0
	}
	return more.Refused + int64(min(1, float64(more.Refused)/float64(payload))*float64(around))
}

// shareOf is what refused messages may take of a budget, in bytes.
func shareOf(budget int64) int64 { return int64(refusedPart * float64(budget)) }

// ownBytes are those of a month that count against its budget: of what was refused, no more than its share.
func ownBytes(m statuspage.Month) int64 { return m.Bytes - max(0, m.Refused-shareOf(m.Budget)) }

// muting says when commands are not listened to. Pure: now comes in. The zero value is ready.
type muting struct {
	spent bool          // the share is used up
	from  int64         // refused bytes, since when they may grow by the grace again
	since time.Time     // of from
	until time.Time     // commands are not listened to; zero: they are
	gap   time.Duration // how long that was the last time
}

// look is called with what refused messages have used this month, and with their share, 0 for no budget.
func (m *muting) look(used, share int64, now time.Time) {
	was := m.spent
	if m.spent = share > 0 && used >= share; !m.spent {
		*m = muting{}
		return
	}
	switch {
	case !was, !m.until.IsZero() && !now.Before(m.until):
		m.from, m.since, m.until = used, now, time.Time{}
	case !m.until.IsZero():
	case used-m.from >= max(refusedLeast, int64(refusedGrace*float64(share))):
		m.gap = min(max(2*m.gap, muteFirst), muteLongest)
		m.until = now.Add(m.gap)
	case now.Sub(m.since) >= muteLongest:
		m.from, m.since, m.gap = used, now, 0
	}
}

// why says what is held back because of refused messages; empty: nothing.
func (m *muting) why(used int64, since string) string {
	if !m.spent {
		return ""
	}
	text := fmt.Sprintf("messages that this gateway refuses have cost %s since %s, "+
		"more than the %.0f %% of the budget that they may: ", config.Size(used), since, 100*refusedPart)
	if m.until.IsZero() {
		text += "they are not answered any more"
	} else {
		text += fmt.Sprintf("commands and consoles are not listened to until %s UTC", m.until.UTC().Format(time.DateTime))
	}
	return text + "; clear retained commands, and look who may publish to this gateway (linkbeatctl acl)"
}
