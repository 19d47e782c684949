package spool

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"strings"
)

// Beside a segment may lie a file %016x.done: which of its records are done with. The cursor file has no room for that where
// records that are held back and such that are not alternate for long. Blocks, back to back, each with what came since the one
// before; behind the first that is torn nothing counts:
//
//	0        4        8
//	+--------+--------+------+
//	| crc32c | length | runs |      big endian; length is that of runs, the crc covers everything behind itself
//	+--------+--------+------+
//
// runs are those of the cursor file, from the position before the segment's name on. Not synced, and never written over: a kill
// costs nothing, a power cut sends again what was acknowledged since the kernel wrote the page. A version before this one passes
// the file over, and sends again what only that has.
const (
	doneSuffix = ".done"
	doneHead   = 4 + 4
	maxDone    = 1 << 20 // bytes; a segment of the smallest records has a tenth
)

// told is what the .done file of a segment has.
type told struct {
	size  int64 // of its good blocks
	made  bool  // it may exist
	fresh spans // positions of the segment that are done with, and that it does not have
}

func doneName(segment string) string { return strings.TrimSuffix(segment, segmentSuffix) + doneSuffix }

// loadDone reads the .done file of g, and returns what it has.
func (d *disk) loadDone(g *segment) (has spans) {
	p, err := d.readFile(doneName(g.name), maxDone)
	if err != nil {
		return nil // there is none; or those come again
	}
	g.told.made = true
	for len(p) >= doneHead {
		end := doneHead + int64(binary.BigEndian.Uint32(p[4:]))
		if end > int64(len(p)) || crc32.Checksum(p[4:end], castagnoli()) != binary.BigEndian.Uint32(p) {
			break
		}
		runs, ok := parseRuns(g.base(), p[doneHead:end])
		if !ok {
			break
		}
		for _, r := range runs {
			has.insert(r)
		}
		g.told.size += end
		p = p[end:]
	}
	d.told = append(d.told, has...)
	return has
}

// tell adds to the .done file of g what it does not have.
func (d *disk) tell(g *segment) error {
	name := doneName(g.name)
	block := make([]byte, doneHead, doneHead+4*len(g.told.fresh))
	block, _ = appendRuns(block, g.base(), queue{segments: []*segment{g}}, g.told.fresh, g.last, maxDone)
	binary.BigEndian.PutUint32(block[4:], uint32(len(block)-doneHead))
	binary.BigEndian.PutUint32(block, crc32.Checksum(block[4:], castagnoli()))
	f, err := d.fs.Open(name)
	if err != nil {
		if f, err = d.fs.Create(name); err != nil {
			return err
		}
		d.written += directoryCost
	}
	g.told.made = true
	_, err = f.WriteAt(block, g.told.size)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	g.told.size += int64(len(block))
	g.told.fresh = nil
	d.written += int64(len(block))
	return nil
}

// removeStrays removes the .done files without a segment.
func (d *disk) removeStrays(names []string) {
	known := map[string]bool{}
	for _, g := range d.segments {
		known[g.name] = true
	}
	for _, name := range names {
		of := strings.TrimSuffix(name, doneSuffix) + segmentSuffix
		if _, ok := parseSegmentName(of); ok && !known[of] {
			_ = d.fs.Remove(name)
		}
	}
}

// runsOf is what the cursor file says behind the cursor, in at most limit bytes. False: not all of it fits.
func runsOf(s *Spool, limit int) ([]byte, bool) {
	if s.doneTo <= s.cursor {
		return nil, true
	}
	var done spans
	for _, g := range s.disk.segments {
		done = append(done, g.told.fresh...)
	}
	for _, r := range s.loose {
		done.insert(r)
	}
	for _, r := range s.disk.stay {
		done.insert(r)
	}
	for _, l := range s.pendingEvicts { // of a segment that stayed
		done.remove(span{l.pos, l.pos})
	}
	done.insert(span{s.doneTo, s.doneTo}) // or a position might be given twice
	return appendRuns(nil, s.cursor, queue{s.disk.segments, s.tail, s.pendingEvicts}, done, s.doneTo, limit)
}

// saveProgress notes on disk what is done with: in the cursor file, and what makes that long beside its segments.
func (s *Spool) saveProgress() error {
	runs, fits := runsOf(s, s.disk.easy)
	var err error
	for !fits && err == nil {
		var most *segment
		for _, g := range s.disk.segments {
			if most == nil || len(g.told.fresh) > len(most.told.fresh) {
				most = g
			}
		}
		if most == nil || len(most.told.fresh) == 0 {
			break
		}
		err = s.disk.tell(most)
		runs, fits = runsOf(s, s.disk.easy/2) // so that not each acknowledgement has to
	}
	if !fits {
		runs, _ = runsOf(s, maxRuns)
	}
	return errors.Join(err, s.disk.saveCursor(s.cursor, runs))
}
