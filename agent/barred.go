package agent

import (
	"errors"
	"io/fs"
	"time"

	"github.com/linkbeat/linkbeat/agent/spool"
	"github.com/linkbeat/linkbeat/agent/statedir"
)

const (
	barredLook  = 5 * time.Second // how often what is barred is asked again
	takeUpEvery = time.Minute     // a disk that comes and goes does not take the link with it each time
)

func (l *localState) spools() []*spool.Spool { return []*spool.Spool{l.data, l.high, l.replies} }

// look is called now and then: it notes what in the directories the agent may not use, as after a change of its user. It returns
// what follows when all that was left alone since the start may be used now: the same once more, which reads it.
func (l *localState) look(now time.Time) *succession {
	waits, mended, barred := false, true, error(nil)
	for _, s := range l.spools() {
		why, may := s.LeftAlone()
		waits, mended = waits || why != nil, mended && (why == nil || may)
		if errors.Is(why, fs.ErrPermission) && !may {
			barred = why
		}
	}
	text := l.dirs.Barred(barred)
	if l.barred.Set(text) && text != "" {
		l.log.Error().Str("why", text).Msg("not all that is kept on this machine may be used")
	}
	l.waits = l.waits || waits || text != ""
	if !l.waits || !mended || text != "" || !l.tookUp.IsZero() && now.Sub(l.tookUp) < takeUpEvery {
		return nil
	}
	p, err := statedir.Open(l.home, l.dirs)
	if err != nil { // another agent has it
		l.barred.Set(err.Error())
		return nil
	}
	l.tookUp = now
	l.log.Warn().Msg("what was left alone on this machine may be used now: it is taken up, with a short reconnect")
	return &succession{booted: l.inUse(), dirs: p}
}

// takeUp has the spools write what they hold behind what they have left alone, where nobody else can be writing there.
func (l *localState) takeUp(next *succession) {
	mended := false
	for _, s := range l.spools() {
		_, may := s.LeftAlone()
		mended = mended || may
	}
	if !mended {
		return
	}
	alone := l.dirs.Spools.Fault == nil
	if !alone && next != nil {
		alone = next.booted.Document.SpoolDir() == l.home.SpoolDir() && next.dirs.Spools.Fault == nil
	} else if !alone {
		p, err := statedir.Open(l.home, l.dirs)
		if alone = err == nil && p.Spools.Fault == nil; err == nil {
			defer p.Close(l.dirs)
		}
	}
	for _, s := range l.spools() {
		if !alone {
			return
		}
		if err := s.TakeUp(); err != nil {
			l.log.Error().Err(err).Msg("frames in memory could not be written behind those that were left alone")
		}
	}
}
