package agent

import (
	"context"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/linkbeat/linkbeat/agent/supervise"
)

const (
	questionEvery = 5 * time.Minute
	questionRetry = 15 * time.Second // until there is an answer, then twice as long each time: a modem takes its time after power-on
)

// question is a command that is run now and then for what it prints. One loop owns it; only get is for others.
type question struct {
	key     string // of the configuration, for the log
	command program
	every   time.Duration
	log     zerolog.Logger

	due     time.Time       // when it is asked again; zero: at once
	vain    int             // times in a row without an answer
	failing supervise.Fault // of the last try

	mu   sync.Mutex
	last string // guarded by mu; empty: no answer
}

// newQuestion returns one that is due. If every is zero, it is asked each questionEvery.
func newQuestion(key string, c program, every time.Duration, log zerolog.Logger) *question {
	if every <= 0 {
		every = questionEvery
	}
	return &question{key: key, command: c, every: every, log: log}
}

// get is the last answer; empty: there is none.
func (q *question) get() string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.last
}

// ask runs the command; a failure is said once, until there is another one. With keep the last answer stays then.
func (q *question) ask(ctx context.Context, keep bool) {
	out, err := q.command.run(ctx)
	if ctx.Err() != nil {
		return // it was the stop that ended it
	}
	why := ""
	if err != nil {
		why = err.Error()
	}
	if q.failing.Set(why) && err != nil {
		q.log.Warn().Err(err).Strs("command", q.command.argv).Msg(q.key + " failed, asked again later")
	}
	answer := supervise.Printable(out)
	q.mu.Lock()
	if err == nil {
		q.last = answer
	} else if !keep {
		q.last = ""
	}
	known := q.last != ""
	q.mu.Unlock()
	pause := q.every
	if q.vain++; known {
		q.vain = 0
	} else if q.vain < 16 { // beyond that any pause is longer than every, or than anybody waits
		pause = min(questionRetry<<(q.vain-1), q.every)
	}
	q.due = time.Now().Add(pause)
}
