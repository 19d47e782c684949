package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"time"
)

// damageSaid is how long that which a start found damaged is worth a word.
const damageSaid = time.Hour

// damage is what Open found on the disk that is not what was written there: emptied, garbled, torn. What can be told of it by
// numbers stands in the streams; this is for a person.
type damage struct {
	all   []string
	until time.Time
}

func (d *damage) note(format string, args ...any) {
	d.all = append(d.all, fmt.Sprintf(format, args...))
}

// unread notes a file that is there and could not be used, and what that means.
func (d *damage) unread(name string, err error, means string) {
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !barred(err) {
		d.note("%s (%v): %s", name, err, means)
	}
}

// barred tells an error of rights, or of a disk that is mounted read-only, from one of damage: what is there is as it was.
func barred(err error) bool { return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) }

// why is the sentence for it while it is worth one.
func (d *damage) why(now time.Time) string {
	if len(d.all) == 0 || !now.Before(d.until) {
		return ""
	}
	return "what is on the disk was found damaged at the start, after a power cut perhaps: " + strings.Join(d.all, "; ")
}

// judge notes what was found, once everything was looked at: not what is torn behind the last record, as a kill leaves it, nor
// rot that an earlier start has found and marked.
func (d *damage) judge(s *Spool, m meta, now time.Time) {
	d.until = now.Add(damageSaid)
	if s.disk.corrupt == 0 {
		return
	}
	for stream, gaps := range s.gaps {
		for _, g := range gaps {
			known := s.disk.marked[mark{stream, g}] || slices.ContainsFunc(m.Gaps[stream], func(k keep) bool {
				return k.From == g.from && k.To == g.to && k.Epoch == g.epoch
			})
			if !known {
				d.note("%d stretches of its segments hold no record: what was there is lost, and marked in its stream",
					s.disk.corrupt)
				return
			}
		}
	}
}
