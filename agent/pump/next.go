package pump

import (
	"bytes"
	"time"

	"github.com/linkbeat/linkbeat/agent/spool"
	"github.com/linkbeat/linkbeat/transport"
)

// readRetry is how soon a spool that could not be read is asked again.
const readRetry = time.Second

// next is the next publish to send. Records that cannot become one are counted, logged and passed over.
func (p *Pump) next(flush bool) *publish {
	h := how{flush: flush, single: p.suspects.isolated > 0, held: p.isHeld}
	for _, old := range []bool{p.oldTurn, !p.oldTurn} {
		for _, l := range p.lanes {
			if p.paused(l) {
				continue
			}
			c := l.live
			if h.pace = nil; old {
				c = l.old
				if l.paced {
					h.pace = p.pace
				}
			}
			if next := p.nextOf(c, h); next != nil {
				p.oldTurn = !old
				return next
			}
		}
	}
	return nil
}

// nextOf is the next publish of a course; nil: it has none now.
func (p *Pump) nextOf(c *course, h how) *publish {
	l := c.lane
	for now := time.Now(); !now.Before(c.retryAt); {
		next, bad, err := c.take(now, h)
		if bad != nil {
			p.poison(&publish{lane: l, positions: []spool.Pos{bad.Pos}, seq: bad.Seq, stream: bad.Stream,
				message: transport.Message{Payload: bytes.Clone(bad.Data)}}, err)
			continue
		}
		p.reading(c, err)
		return next
	}
	return nil
}

// reading is called after each try to read a spool. One that failed is asked again in readRetry; one log line for each fault,
// not for each try, and one when it is over.
func (p *Pump) reading(c *course, err error) {
	if err != nil {
		if c.fault != err.Error() {
			c.fault = err.Error()
			p.log.Error().Str("spool", c.lane.name).Err(err).Msg("spool cannot be read, trying again")
		}
		c.retryAt = time.Now().Add(readRetry)
		return
	}
	if c.fault != "" {
		p.log.Info().Str("spool", c.lane.name).Msg("spool can be read again")
	}
	c.fault, c.retryAt = "", time.Time{}
}
