package operator

import (
	"cmp"
	"crypto/sha256"
	"math"
	"slices"

	"github.com/linkbeat/linkbeat/agent/wire"
)

const (
	maxStreams = 1 << 14
	maxEpochs  = 8       // epochs remembered of one stream; a backlog rarely spans two
	maxMissing = 256     // runs of missing numbers remembered of one epoch
	maxRuns    = 1 << 16 // of all streams together; whoever makes more loses streams that are known
	maxLost    = 4       // gaps remembered of one epoch, for holes that come behind them
)

// digest stands for a name that somebody else has chosen: it is as short as the name may be long.
type digest [sha256.Size]byte

func digestOf(name string) digest { return sha256.Sum256([]byte(name)) }

// Range is a run of numbers, both ends included.
type Range struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
}

func (r Range) size() int64 { return int64(r.To - r.From + 1) }

// Seen is what a record means for its stream.
type Seen struct {
	Duplicate bool    // seen before: drop it
	Holes     []Range // numbers before it that neither came yet nor were marked as lost by the gateway
}

// Counts add up over all streams of a Tracker. Holes and Lost are numbers, not runs.
type Counts struct {
	Frames     int64 // records with bytes, duplicates apart
	Duplicates int64
	Gaps       int64 // gap records
	Lost       int64 // numbers that gap records name; those of an unknown end are not in it
	Holes      int64 // numbers missing without a gap record, and not come since
	Open       int64 // of the Holes, those that may still come; only of Tail
}

// Tracker tells duplicates and gaps by (stream, epoch, seq). The zero value is ready; it is not safe for concurrent use.
type Tracker struct {
	streams map[digest]*stream
	runs    int // in all of them
	counts  Counts
}

// stream is what is known of one device's numbers.
type stream struct {
	epochs map[digest]*numbers
	order  []digest // of epochs, the oldest first
}

// numbers of one epoch: everything below next came, is missing, or is marked as lost.
type numbers struct {
	next    uint64
	missing []missing // ascending
	lost    []Range   // what gap records named last
}

type missing struct {
	Range
	reported bool // as a hole; what came before we listened is not
}

// Counts returns the sums so far.
func (t *Tracker) Counts() Counts { return t.counts }

// See counts a record of a stream ("gateway/device").
func (t *Tracker) See(name string, r wire.Record) Seen {
	if t.streams == nil {
		t.streams = map[digest]*stream{}
	}
	key := digestOf(name)
	s := t.streams[key]
	joined := s == nil
	if joined {
		if len(t.streams) >= maxStreams {
			t.forgetOther(key)
		}
		s = &stream{epochs: map[digest]*numbers{}}
		t.streams[key] = s
	}
	epoch := digestOf(r.Epoch)
	n := s.epochs[epoch]
	if n == nil {
		n = t.begin(s, epoch)
		if joined { // we came in the middle; what was before may still come, and is not reported
			t.skip(n, Range{1, r.Seq - 1}, false)
			n.next = r.Seq
		}
	}
	if r.Gap != nil {
		t.lose(s, r)
	}
	seen := t.count(n, r)
	for t.runs > maxRuns && len(t.streams) > 1 {
		t.forgetOther(key)
	}
	return seen
}

// forgetOther forgets any stream but one: a fleet this large has other tools.
func (t *Tracker) forgetOther(key digest) {
	for other, s := range t.streams {
		if other == key {
			continue
		}
		for _, n := range s.epochs {
			t.runs -= len(n.missing)
		}
		delete(t.streams, other)
		return
	}
}

func (t *Tracker) begin(s *stream, epoch digest) *numbers {
	if len(s.order) >= maxEpochs {
		t.runs -= len(s.epochs[s.order[0]].missing)
		delete(s.epochs, s.order[0])
		s.order = append(s.order[:0], s.order[1:]...)
	}
	n := &numbers{next: 1}
	s.epochs[epoch], s.order = n, append(s.order, epoch)
	return n
}

// Missing is what of a run of numbers that were a hole still is one.
func (t *Tracker) Missing(name, epoch string, r Range) (left []Range) {
	s := t.streams[digestOf(name)]
	if s == nil || s.epochs[digestOf(epoch)] == nil {
		return nil // too many others came: nobody can say
	}
	for _, m := range s.epochs[digestOf(epoch)].missing {
		if both := (Range{max(m.From, r.From), min(m.To, r.To)}); m.reported && both.From <= both.To {
			left = append(left, both)
		}
	}
	return left
}

// lose is called with a gap record: what it names, of this epoch or an earlier one, is no hole. It may come before the hole does.
func (t *Tracker) lose(s *stream, r wire.Record) {
	epoch, lost := r.Gap.Epoch, Range{r.Gap.From, r.Gap.To}
	if epoch == "" {
		epoch = r.Epoch
	}
	n := s.epochs[digestOf(epoch)]
	if n == nil {
		return
	}
	if lost.To == 0 {
		lost.To = math.MaxUint64
	}
	if len(n.lost) >= maxLost {
		n.lost = append(n.lost[:0], n.lost[1:]...)
	}
	n.lost = append(n.lost, lost)
	t.explain(n, lost)
}

// explain is called with the numbers that a gap record names: they are no hole any more. They may come all the same.
func (t *Tracker) explain(n *numbers, lost Range) {
	for i := 0; i < len(n.missing); i++ {
		m := n.missing[i]
		both := Range{max(m.From, lost.From), min(m.To, lost.To)}
		if !m.reported || both.From > both.To {
			continue
		}
		parts := []missing{{both, false}}
		for _, r := range subtract(m.Range, both) {
			parts = append(parts, missing{r, true})
		}
		slices.SortFunc(parts, func(a, b missing) int { return cmp.Compare(a.From, b.From) })
		n.missing = slices.Replace(n.missing, i, i+1, parts...)
		t.runs += len(parts) - 1
		t.counts.Holes -= both.size()
		i += len(parts) - 1
	}
	for len(n.missing) > maxMissing {
		t.trim(n)
	}
}

func (t *Tracker) count(n *numbers, r wire.Record) (seen Seen) {
	switch {
	case r.Seq >= n.next:
		for _, hole := range subtract(Range{n.next, r.Seq - 1}, marked(r)) {
			t.skip(n, hole, true)
			seen.Holes = append(seen.Holes, hole)
			t.counts.Holes += hole.size()
		}
		for _, lost := range n.lost {
			t.explain(n, lost)
		}
		n.next = r.Seq + 1
	case !t.fill(n, r.Seq):
		t.counts.Duplicates++
		return Seen{Duplicate: true}
	}
	if r.Gap == nil {
		t.counts.Frames++
		return seen
	}
	t.counts.Gaps++
	if r.Gap.To >= r.Gap.From {
		t.counts.Lost += Range{r.Gap.From, r.Gap.To}.size()
	}
	return seen
}

// marked returns the numbers of its own epoch that a gap record marks as lost; an empty range when it does not.
func marked(r wire.Record) Range {
	if r.Gap == nil || r.Gap.Epoch != "" && r.Gap.Epoch != r.Epoch {
		return Range{1, 0}
	}
	return Range{r.Gap.From, r.Gap.To}
}

// fill takes seq out of what is missing; false when it is not.
func (t *Tracker) fill(n *numbers, seq uint64) bool {
	for i, m := range n.missing {
		if seq < m.From || seq > m.To {
			continue
		}
		var rest []missing
		for _, r := range subtract(m.Range, Range{seq, seq}) {
			rest = append(rest, missing{r, m.reported})
		}
		n.missing = append(n.missing[:i:i], append(rest, n.missing[i+1:]...)...)
		t.runs += len(rest) - 1
		t.trim(n)
		if m.reported {
			t.counts.Holes--
		}
		return true
	}
	return false
}

// skip remembers r as missing.
func (t *Tracker) skip(n *numbers, r Range, reported bool) {
	if r.To < r.From {
		return
	}
	n.missing = append(n.missing, missing{r, reported})
	t.runs++
	t.trim(n)
}

// trim forgets the oldest run when there are too many; what still comes of it will count as a duplicate.
func (t *Tracker) trim(n *numbers) {
	if len(n.missing) > maxMissing {
		n.missing = n.missing[1:]
		t.runs--
	}
}

// subtract returns what of r is outside of s.
func subtract(r, s Range) (rest []Range) {
	if r.To < r.From {
		return nil
	}
	if s.To < s.From || s.To < r.From || s.From > r.To {
		return []Range{r}
	}
	if s.From > r.From {
		rest = append(rest, Range{r.From, s.From - 1})
	}
	if s.To < r.To {
		rest = append(rest, Range{s.To + 1, r.To})
	}
	return rest
}
