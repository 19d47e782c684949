package agent

import (
	"sync/atomic"

	"github.com/rs/zerolog"
)

// level drops log lines below a level that can be changed while the agent runs; zerolog's own is either global or fixed.
type level struct{ least atomic.Int32 }

func (l *level) set(v zerolog.Level) { l.least.Store(int32(v)) }

// Run is zerolog's hook.
func (l *level) Run(e *zerolog.Event, v zerolog.Level, _ string) {
	if int32(v) < l.least.Load() {
		e.Discard()
	}
}
