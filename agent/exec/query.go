package exec

import (
	"context"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/linkbeat/linkbeat/agent/printable"
	"github.com/linkbeat/linkbeat/agent/supervise"
)

const (
	queryEvery = 5 * time.Minute
	QueryRetry = 15 * time.Second // until there is an answer, then twice as long each time: a modem takes its time after power-on
)

// Query is a command that is run now and then for what it prints. One loop owns it; only Get is for others.
type Query struct {
	key     string // of the configuration, for the log
	program Program
	every   time.Duration
	log     zerolog.Logger

	Due      time.Time       // when it is asked again; zero: at once
	failures int             // times in a row without an answer
	failing  supervise.Fault // of the last try

	mu   sync.Mutex
	last string // guarded by mu; empty: no answer
}

// NewQuery returns one that is due. If every is zero, it is asked each queryEvery.
func NewQuery(key string, c Program, every time.Duration, log zerolog.Logger) *Query {
	if every <= 0 {
		every = queryEvery
	}
	return &Query{key: key, program: c, every: every, log: log}
}

// Get is the last answer; empty: there is none.
func (q *Query) Get() string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.last
}

// Ask runs the command. A failure is logged once, until there is a different one; with keep, the last answer stays then.
func (q *Query) Ask(ctx context.Context, keep bool) {
	out, err := q.program.run(ctx)
	if ctx.Err() != nil {
		return // it was the stop that ended it
	}
	why := ""
	if err != nil {
		why = err.Error()
	}
	if q.failing.Set(why) && err != nil {
		q.log.Warn().Err(err).Str("command", q.program.Argv.Shown()).Msg(q.key + " failed, it will run again later")
	}
	answer := printable.Words(out, q.program.Most)
	q.mu.Lock()
	if err == nil {
		q.last = answer
	} else if !keep {
		q.last = ""
	}
	known := q.last != ""
	q.mu.Unlock()
	pause := q.every
	if q.failures++; known {
		q.failures = 0
	} else if q.failures < 16 { // beyond that any pause is longer than every, or than anybody waits
		pause = min(QueryRetry<<(q.failures-1), q.every)
	}
	q.Due = time.Now().Add(pause)
}
