package delivered

import (
	"fmt"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// count is what became of the frames.
type count struct {
	played, arrived, twice int
	waiting, poison        int // in the spool, in quarantine
	bytes                  int64
	at                     map[int]time.Time // when each number of the last device first came
	first                  time.Time         // frame of all
}

// missing are those that have not arrived.
func (c count) missing() int { return c.played - c.arrived }

// lost are those that are nowhere: neither there, nor waiting, nor in quarantine.
func (c count) lost() int { return max(0, c.missing()-c.waiting-c.poison) }

func (c count) String() string {
	return fmt.Sprintf("%d frames played, %d arrived, %d wait, %d in quarantine, %d came twice, %d bytes on the wire", c.played,
		c.arrived, c.waiting, c.poison, c.twice, c.bytes)
}

// count reads the books and the status, for some devices or all.
func (s *stand) count(names ...string) (c count, err error) {
	st, err := s.agent.Status()
	if err != nil {
		return c, err
	}
	for _, n := range st.Bytes {
		c.bytes += n
	}
	c.waiting, c.poison = int(st.Spool.Waiting), int(st.Spool.Poison)
	if len(names) == 0 {
		for _, d := range s.p.devices {
			names = append(names, d.name)
		}
	}
	for _, name := range names {
		if err := s.countOne(&c, name); err != nil {
			return c, err
		}
	}
	return c, nil
}

func (s *stand) countOne(c *count, name string) error {
	wrote := len(s.players[name].Wrote())
	tally, err := kit.Count(s.books.Arrivals(s.agent.Topic("up/data/" + name)))
	if err != nil {
		return err
	}
	if len(tally.Conflicts) > 0 {
		return fmt.Errorf("%s: one number with two contents: %s", name, tally.Conflicts[0])
	}
	c.at = map[int]time.Time{}
	for _, f := range tally.Data() {
		b, err := f.Bytes()
		if err != nil {
			continue // what tries the topic
		}
		if n, ok := kit.ParseNumber(b); ok && n <= wrote && c.at[n].IsZero() {
			c.at[n] = f.At
			if c.first.IsZero() || f.At.Before(c.first) {
				c.first = f.At
			}
		}
	}
	c.played, c.arrived, c.twice = c.played+wrote, c.arrived+len(c.at), c.twice+len(tally.Repeats)
	return nil
}

// settle waits until all that was read is there, or the limit is over, and counts.
func (s *stand) settle(limit time.Duration, names ...string) (c count, err error) {
	for end := time.Now().Add(limit); ; s.Sleep(200 * time.Millisecond) {
		if c, err = s.count(names...); err == nil && c.missing()-c.poison <= 0 || time.Now().After(end) || s.Ctx.Err() != nil {
			return c, err
		}
	}
}
