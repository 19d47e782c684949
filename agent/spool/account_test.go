package spool

import (
	"strconv"

	"pgregory.net/rapid"
)

// account looks for every number that was ever given: delivered, on disk or in memory, or covered by a mark, wherever that
// is now. It sees a loss at the step that makes it.
func (m *machine) account(t *rapid.T) {
	live := map[id]bool{}
	marks := map[numbers][]Gap{}
	add := func(r *record) {
		live[id{numbers{r.epoch, r.stream}, r.seq}] = true
		if r.gap != nil {
			k := numbers{r.gap.epoch, r.stream}
			marks[k] = append(marks[k], Gap{From: r.gap.from, To: r.gap.to})
		}
	}
	for i := range m.s.tail {
		add(&m.s.tail[i])
	}
	for i := range m.s.pendingEvicts {
		add(&m.s.pendingEvicts[i].record)
	}
	for _, g := range m.s.disk.segments {
		f, err := m.fs.Open(g.name)
		if err != nil {
			continue
		}
		p, _ := readFile(f, 1<<20)
		walk(p, 0, func(r *record, _ location) bool {
			if g.waits.has(r.pos) {
				add(r)
			}
			return true
		})
	}
	for stream, gs := range m.s.gaps {
		for _, g := range gs {
			k := numbers{g.epoch, stream}
			marks[k] = append(marks[k], Gap{From: g.from, To: g.to})
		}
	}
	for of, last := range m.last {
		for seq := Seq(1); seq <= last; seq++ {
			name := id{of, seq}
			if !m.done[name] && !live[name] && !covers(m.covered[of], seq) && !covers(marks[of], seq) {
				t.Fatalf("%v is nowhere; marks: %v; %+v", name, marks[of], m.s.Status())
			}
		}
	}
}

func covers(marks []Gap, seq Seq) bool {
	for _, g := range marks {
		if seq >= g.From && (g.To == 0 || seq <= g.To) {
			return true
		}
	}
	return false
}

func parseEpoch(s string) (uint32, error) {
	e, err := strconv.ParseUint(s, 16, 32)
	return uint32(e), err
}
