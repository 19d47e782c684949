package agent

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/linkbeat/linkbeat/agent/spool"
)

const (
	lossCheck = time.Second // how often the spools are asked
	lossEnds  = time.Minute // without a loss ends a period of it
)

// losses reports the records that a spool could not keep: one log line when a period of loss begins, one when it ends, and a
// sentence for the status while it lasts. Safe for concurrent use.
type losses struct {
	log zerolog.Logger

	mu     sync.Mutex
	spools []*lossy
}

// lossy is one spool as losses sees it.
type lossy struct {
	name  string // "spool" or "reply spool"
	spool *spool.Spool
	last  spool.Loss // at the last look
	begun time.Time  // of the period; zero: there is none
	count int64      // lost in it
}

func newLosses(log zerolog.Logger, data, high, replies *spool.Spool) *losses {
	return &losses{log: log, spools: []*lossy{{name: "spool", spool: data}, {name: "spool of priority high", spool: high},
		{name: "reply spool", spool: replies}}}
}

// run looks until ctx is done.
func (l *losses) run(ctx context.Context) error {
	tick := time.NewTicker(lossCheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			l.look(time.Now())
		}
	}
}

func (l *losses) look(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.spools {
		loss := s.spool.Status().Lost
		more := loss.Records - s.last.Records
		s.last = loss
		switch {
		case more > 0 && s.begun.IsZero():
			s.begun, s.count = now, more
			l.log.Warn().Str("spool", s.name).Int64("records", more).Str("device", loss.Stream).Str("why", loss.Why).
				Msg("records are being lost: the spool cannot take them")
		case more > 0:
			s.count += more
		case !s.begun.IsZero() && now.Sub(loss.Last) >= lossEnds:
			l.log.Warn().Str("spool", s.name).Int64("records", s.count).Str("device", loss.Stream).Str("why", loss.Why).
				Dur("lasted", loss.Last.Sub(s.begun)).Msg("records are no longer lost")
			s.begun = time.Time{}
		}
	}
}

// why is a sentence while records are lost; else empty.
func (l *losses) why() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []string
	for _, s := range l.spools {
		if !s.begun.IsZero() {
			all = append(all, fmt.Sprintf("%s: %d records lost since %s, the last one of %q at %s: %s", s.name, s.count,
				s.begun.UTC().Format(time.TimeOnly), s.last.Stream, s.last.Last.UTC().Format(time.TimeOnly), s.last.Why))
		}
	}
	return strings.Join(all, "; ")
}
