package crash

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// verdict is what the books say of one run.
type verdict struct {
	lifeOf    map[int]int // frame number -> the life that read it
	came      []int       // records that arrived, torn tails included, by life: what the agent counted as accepted
	torn      int         // tails of frames whose beginning a killed agent had
	foreign   int         // frames outside of any life, by their ts
	again     int         // one frame under two (epoch, seq)
	short     int         // accepted and seen, yet missing
	shortNote string
	lostBy    []int         // frames that did not arrive, by the life whose kill took them
	old       int           // lost although older than write_after
	oldest    time.Duration // age of the oldest frame lost, at its kill
	oldNote   string
	holes     []string // frames missing inside a life, or after the orderly end
}

func (r *run) judge(t *kit.Table, d *device) error {
	tally, err := kit.Count(r.sub.Arrivals(r.agent.Topic("up/data/" + d.name)))
	if err != nil {
		return err
	}
	wrote := d.player.Wrote()
	v := &verdict{lifeOf: map[int]int{}, came: make([]int, len(r.lives)), lostBy: make([]int, len(r.lives))}
	for _, f := range tally.Data() {
		if err := r.enter(v, f); err != nil {
			return err
		}
	}
	r.weigh(v, d.name, wrote)
	r.rows(t, v, tally, d, len(wrote))
	return nil
}

// enter puts a frame into the books of the life that read it: by its ts, which the agent takes when it reads.
func (r *run) enter(v *verdict, f kit.Frame) error {
	b, err := f.Bytes()
	if err != nil {
		return err
	}
	i, lived := r.lifeAt(time.UnixMilli(f.TS))
	if lived {
		v.came[i]++
	}
	n, whole := kit.ParseNumber(b)
	if !whole { // a line to the agent, which counted it
		v.torn++
		return nil
	}
	if _, ok := v.lifeOf[n]; ok {
		v.again++
	}
	v.lifeOf[n] = i
	if !lived {
		v.foreign++
	}
	return nil
}

// lifeAt is the life that ts belongs to; if none, false and one past the last.
func (r *run) lifeAt(ts time.Time) (int, bool) {
	for i, l := range r.lives {
		if !ts.Before(l.start.Truncate(time.Millisecond)) && !ts.After(l.end) {
			return i, true
		}
	}
	return len(r.lives), false
}

// weigh finds what each kill cost. The device's frames are read in order, so a frame that is missing between one read
// by life a and one read by life b was lost by the kill of a, or of a life between them of which nothing came.
func (r *run) weigh(v *verdict, device string, wrote []time.Time) {
	for i, l := range r.lives {
		if missing := l.seen[device] - int64(v.came[i]); missing > 0 {
			v.short += int(missing)
			v.shortNote += fmt.Sprintf("life %d of %v: /status said %d accepted, %d came; ", i,
				l.end.Sub(l.start).Round(time.Millisecond), l.seen[device], v.came[i])
		}
	}
	next := make([]int, len(wrote)+2) // the life of the first frame from n on that came
	next[len(wrote)+1] = -1
	for n := len(wrote); n > 0; n-- {
		next[n] = next[n+1]
		if i, ok := v.lifeOf[n]; ok {
			next[n] = i
		}
	}
	a := 0
	for n, at := range wrote {
		if i, ok := v.lifeOf[n+1]; ok {
			a = i
			continue
		}
		b := next[n+1]
		if last := len(r.lives) - 1; b < 0 && last > 0 && !r.lives[last-1].end.Before(at) {
			b = last // nothing later came, and it was written before the last kill, which may have taken it
		}
		if b <= a {
			v.holes = append(v.holes, fmt.Sprintf("frame %d of life %d is missing though a later one of life %d came", n+1, a, b))
			continue
		}
		r.lose(v, n+1, at, a)
	}
}

// lose enters a lost frame: age at the first kill after it was written, from life a on.
func (r *run) lose(v *verdict, n int, wrote time.Time, a int) {
	limit := cmp.Or(r.o.Slack, slack)
	if r.o.WriteAfter == "" {
		limit += writeAfter
	}
	for a < len(r.lives)-1 && r.lives[a].end.Before(wrote) {
		a++
	}
	v.lostBy[a]++
	age := r.lives[a].end.Sub(wrote)
	v.oldest = max(v.oldest, age)
	if age > limit {
		v.old++
		v.oldNote = fmt.Sprintf("frame %d was written %v before the kill of life %d", n, age.Round(time.Millisecond), a)
	}
}

func (r *run) rows(t *kit.Table, v *verdict, tally *kit.Tally, d *device, wrote int) {
	row := func(s string) string { return r.o.Label + ": " + s }
	if r.o.Mixed {
		row = func(s string) string { return r.o.Label + ", " + d.name + ": " + s }
	}
	t.Info(row("kills of the agent"), float64(r.o.Kills), "")
	t.Info(row("stops of the broker"), float64(r.o.Stops), "")
	t.Info(row("frames the device wrote"), float64(wrote), "frames")
	t.Info(row("frames that arrived"), float64(len(v.lifeOf)), "frames")
	t.Info(row("taken along by kills: not yet accepted, or younger than write_after"), float64(sum(v.lostBy)), "frames")
	t.Info(row("most of these by one kill"), float64(slices.Max(v.lostBy)), "frames")
	t.Info(row("oldest of these at its kill"), v.oldest.Seconds(), "s")
	t.Info(row("torn frames (their head was in the framer)"), float64(v.torn), "frames")
	t.Info(row("gap records"), float64(len(tally.Gaps)), "records")
	if r.o.WriteAfter == "0s" {
		t.Exactly(row("accepted according to /status, yet lost"), v.short, 0, "frames", v.shortNote)
	}
	t.Exactly(row("lost although older than write_after"), v.old, 0, "frames", v.oldNote)
	t.Exactly(row("missing or out of order inside a life"), len(v.holes)+len(tally.Holes), 0, "",
		some(append(append([]string(nil), v.holes...), tally.Holes...)))
	t.Exactly(row("(epoch, seq) with two contents"), len(tally.Conflicts), 0, "", some(tally.Conflicts))
	t.Exactly(row("one frame under two (epoch, seq)"), v.again, 0, "frames", "")
	t.Exactly(row("frames with a ts outside of any life"), v.foreign, 0, "frames", "")
	t.AtMost(row("torn frames per kill"), float64(v.torn)/float64(max(1, r.o.Kills)), 1, "frames")
	t.AtMost(row("repeated by the agent, worst after one kill or stop"), float64(r.worstRepeat(tally)), float64(window*d.batch),
		"records")
	t.AtMost(row("repeated by the agent, in all"), float64(len(tally.Repeats)), float64(window*d.batch*len(r.breaks)), "records")
	t.Info(row("repeated by the broker to the subscriber"), float64(tally.Redelivered), "records")
	t.Exactly(row("looks at /status where a counter did not balance"), len(r.imbalances), 0, fmt.Sprintf("of %d", r.looks),
		some(r.imbalances))
}

// worstRepeat counts the repetitions between one break and the next.
func (r *run) worstRepeat(tally *kit.Tally) int {
	counts, worst := make([]int, len(r.breaks)+1), 0
	for _, at := range tally.Repeats {
		i := 0
		for i < len(r.breaks) && !r.breaks[i].After(at) {
			i++
		}
		counts[i]++
		worst = max(worst, counts[i])
	}
	return worst
}

func sum(n []int) int {
	total := 0
	for _, v := range n {
		total += v
	}
	return total
}

func some(s []string) string {
	if len(s) > 3 {
		s = append(s[:3:3], fmt.Sprintf("and %d more", len(s)-3))
	}
	return strings.Join(s, "; ")
}
