package flood

import (
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// Log writes lines that a stranger causes: of each kind the first, and then once a minute how many more there were. Safe for
// concurrent use; nil writes nothing.
type Log struct {
	log zerolog.Logger

	mu    sync.Mutex
	tally Tally
	timer *time.Timer // nil: nothing is to be told later
}

// NewLog returns a Log that writes to log.
func NewLog(log zerolog.Logger) *Log { return &Log{log: log} }

// Warn begins a line of a kind, which names what happened in words of ours; the line is nil, and so goes nowhere, when it is only
// counted.
func (l *Log) Warn(kind string) *zerolog.Event { return l.Line(zerolog.WarnLevel, kind, 1) }

// Line is Warn at another level, and with the first few of each kind told one by one.
func (l *Log) Line(level zerolog.Level, kind string, first int) *zerolog.Event {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	told := l.tally.Note(kind, first, time.Now())
	if l.timer == nil {
		l.timer = time.AfterFunc(TallyEvery, func() { l.tell(false) })
	}
	if !told {
		return nil
	}
	return l.log.WithLevel(level)
}

// tell writes what is due. With all it is the end of it.
func (l *Log) tell(all bool) {
	l.mu.Lock()
	due := l.tally.Due(time.Now(), all)
	if l.timer != nil {
		l.timer.Stop()
	}
	if l.timer = nil; !all && !l.tally.Idle() {
		l.timer = time.AfterFunc(TallyEvery/4, func() { l.tell(false) })
	}
	l.mu.Unlock()
	for _, c := range due {
		l.log.Warn().Int64("more", c.More).Time("from", c.Since).
			Msg(c.Kind + ": there were more, which are counted and not written one by one")
	}
}

// Flush writes what was counted so far, at the end of whoever has it.
func (l *Log) Flush() {
	if l != nil {
		l.tell(true)
	}
}
