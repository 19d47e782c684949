package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"slices"
	"syscall"
	"time"
)

const (
	retryDisk     = 5 * time.Second // after a failure
	unreadable    = time.Minute     // a segment that cannot be read for so long is given up
	maxUnsynced   = 256 << 10       // bytes; more are synced at once
	cursorFile    = "cursor"
	cursorSlot    = 16 << 10 // bytes between the slots: a torn write of one leaves the other
	cursorBytes   = 4 + 8 + 8 + 4
	maxRuns       = cursorSlot - cursorBytes // bytes
	easyRuns      = page - cursorBytes       // so many cost a page
	reserveFile   = "reserve"
	segmentExtra  = recordHeader + maxStreamName + maxRecord // one record may overshoot the size of a segment
	page          = 4096
	directoryCost = page // what a sync of the directory writes, about
)

// disk is what a spool has on disk. Guarded by the mutex of its Spool.
type disk struct {
	fs FS
	o  Options

	segments []*segment // oldest first; the last one is written to when active is open
	active   File
	unsynced []record  // written, not synced: written again elsewhere if the sync fails
	since    time.Time // of the oldest of them
	pending  int64     // bytes of them

	cursor     File
	cursorTurn uint64
	easy       int // bytes of runs in it; more go into .done files

	stay  spans             // positions of segments that could not be removed, and are done with
	names []string          // of streams, by the number that segments have for them
	ids   map[string]uint16 // and back

	why      string        // empty: all is well
	offKnown bool          // how long the machine was off before Open is in the ages of what it left
	blind    bool          // it could not be read at the start, and is not used
	marked   map[mark]bool // of Open: the gaps whose marks are on disk
	done     spans         // of Open: positions behind the cursor that are done with, by the cursor file
	told     spans         // of Open: the same by .done files
	retryAt  time.Time
	written  int64
	corrupt  int64
}

func (d *disk) bytes() (n int64) {
	for _, g := range d.segments {
		n += g.size + g.told.size
	}
	return n
}

// waiting is how many records on disk wait.
func (d *disk) waiting() (n int64) {
	for _, g := range d.segments {
		n += g.waiting()
	}
	return n
}

// last is the last position on disk; 0: none.
func (d *disk) last() Pos {
	if n := len(d.segments); n > 0 {
		return d.segments[n-1].last
	}
	return 0
}

// backlog is the bytes of the segments that hold something that waits, and the uptime when the oldest of that was appended,
// about.
func (d *disk) backlog() (bytes int64, oldest time.Duration, waits bool) {
	for _, g := range d.segments {
		if len(g.waits) == 0 {
			continue
		}
		if bytes += g.size; !waits {
			oldest, waits = g.oldest, true
		}
	}
	return bytes, oldest, waits
}

// fail notes that the disk does not take it. It is tried again after retryDisk.
func (d *disk) fail(now time.Time, what string, err error) error {
	d.why = fmt.Sprintf("%s: %v; records are kept in memory only", what, err)
	d.retryAt = now.Add(retryDisk)
	return err
}

// room says whether one more segment leaves the disk what it must have, and sees to the reserve while there is plenty.
func (d *disk) room() error {
	free, total, err := d.fs.Free()
	if err != nil {
		return err
	}
	least := max(d.o.MinFreeBytes, total/100*int64(d.o.MinFreePercent))
	if free-d.o.SegmentBytes < least {
		return fmt.Errorf("%w: %d MiB are free, min_free leaves %d MiB alone", syscall.ENOSPC, free>>20, least>>20)
	}
	if free-least > 4*d.o.SegmentBytes {
		_ = d.keepReserve() // without one a full disk is met without a reserve, no worse
	}
	return nil
}

// roll begins a new segment.
func (d *disk) roll(first Pos) error {
	d.seal()
	name := segmentName(first)
	if err := d.fs.Remove(doneName(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // what it says is of other records
	}
	f, err := d.fs.Create(name)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt([]byte(segmentMagic), 0); err == nil {
		err = d.fs.Sync()
	}
	if err != nil {
		return errors.Join(err, f.Close(), d.fs.Remove(name))
	}
	d.written += int64(len(segmentMagic)) + directoryCost
	d.active = f
	d.segments = append(d.segments, &segment{name: name, size: int64(len(segmentMagic))})
	return nil
}

// seal ends writing to the last segment.
func (d *disk) seal() {
	if d.active == nil {
		return
	}
	_ = d.active.Close() // everything in it is synced, or given up by whoever calls
	d.active = nil
	if n := len(d.segments); d.segments[n-1].last == 0 {
		d.drop(n - 1)
	}
}

// write puts records into the active segment in one write. They are unsynced then.
func (d *disk) write(records []record, now time.Time) error {
	seg := d.segments[len(d.segments)-1]
	var buf []byte
	last, notes := seg.noted, int64(0)
	for i := range records {
		if own := noted(d.o.Clock.Boot, &records[i]); last == nil || !last.tells(own) {
			made := own
			last = &made
			before := len(buf)
			buf = made.appendTo(buf)
			notes += int64(len(buf) - before)
		}
		buf = records[i].appendTo(buf)
	}
	if _, err := d.active.WriteAt(buf, seg.size); err != nil {
		return errors.Join(err, d.active.Truncate(seg.size))
	}
	seg.noted, seg.notes = last, seg.notes+notes
	d.written += int64(len(buf))
	if len(d.unsynced) == 0 {
		d.since = now
	}
	for i := range records {
		seg.note(&records[i], d.id(records[i].stream))
	}
	seg.size += int64(len(buf))
	d.unsynced = append(d.unsynced, records...)
	d.pending += int64(len(buf))
	return nil
}

func (d *disk) syncDue(now time.Time, wait time.Duration) bool {
	return len(d.unsynced) > 0 && (now.Sub(d.since) >= wait || d.pending >= maxUnsynced)
}

// settle makes what was written durable. When that fails nothing is known of the descriptor's pages any more: the segment
// is sealed before those records, and those of them that still wait are returned.
func (d *disk) settle() ([]record, error) {
	if len(d.unsynced) == 0 {
		return nil, nil
	}
	records, bytes := d.unsynced, d.pending
	d.unsynced, d.pending = nil, 0
	err := d.active.Sync()
	seg := d.segments[len(d.segments)-1]
	if err == nil {
		begin, end := (seg.size-bytes)/page*page, (seg.size+page-1)/page*page
		d.written += end - begin - bytes // the disk writes whole pages
		return nil, nil
	}
	first := records[0].pos
	records = slices.DeleteFunc(records, func(r record) bool { return !seg.waits.has(r.pos) })
	seg.cut(first, seg.size-bytes)
	_ = d.active.Truncate(seg.size) // if even that fails, recovery knows copies by their positions
	d.seal()
	return records, err
}

// drop removes segment i.
func (d *disk) drop(i int) {
	g := d.segments[i]
	if i == len(d.segments)-1 && d.active != nil {
		_ = d.active.Close()
		d.active, d.unsynced, d.pending = nil, nil, 0
	}
	d.remove(g)
	d.segments = slices.Delete(d.segments, i, i+1)
}

// remove removes the files of a segment that is done with. What stays is removed by the next start.
func (d *disk) remove(g *segment) {
	if err := d.fs.Remove(g.name); err != nil {
		for _, r := range g.holds {
			d.stay.insert(r)
		}
	} else if g.told.made {
		_ = d.fs.Remove(doneName(g.name)) // not before its segment
	}
}

// unlink removes the segments of which nothing waits; but not the one that is written to: a new file for each record that is
// acknowledged at once would cost more than the record.
func (d *disk) unlink() {
	for i := len(d.segments) - 1; i >= 0; i-- {
		if active := i == len(d.segments)-1 && d.active != nil; !active && len(d.segments[i].waits) == 0 {
			d.drop(i)
		}
	}
}

// saveCursor writes the cursor, with the runs behind it, into the slot that does not hold the last one:
//
//	0        4       12       20       24
//	+--------+--------+--------+--------+------+
//	| crc32c | turn   | cursor | length | runs |      big endian; the crc covers everything behind itself
//	+--------+--------+--------+--------+------+
//
// runs are uvarints in pairs: so many records wait, so many behind them do not, and so on. A record that a .done file has may
// stand among those that wait. Not synced: a kill costs nothing, a power cut sends again what was acknowledged since the kernel
// wrote the page.
func (d *disk) saveCursor(through Pos, runs []byte) error {
	if d.cursor == nil {
		f, err := d.fs.Open(cursorFile)
		if err != nil {
			if f, err = d.fs.Create(cursorFile); err != nil {
				return err
			}
		}
		d.cursor = f
	}
	d.cursorTurn++
	slot := make([]byte, 4, cursorBytes+len(runs))
	slot = binary.BigEndian.AppendUint64(slot, d.cursorTurn)
	slot = binary.BigEndian.AppendUint64(slot, uint64(through))
	slot = binary.BigEndian.AppendUint32(slot, uint32(len(runs)))
	slot = append(slot, runs...)
	binary.BigEndian.PutUint32(slot, crc32.Checksum(slot[4:], castagnoli()))
	if _, err := d.cursor.WriteAt(slot, int64(d.cursorTurn%2)*cursorSlot); err != nil {
		return errors.Join(fmt.Errorf("cursor: %w", err), d.closeCursor())
	}
	d.written += int64(len(slot))
	return nil
}

func (d *disk) closeCursor() error {
	if d.cursor == nil {
		return nil
	}
	err := d.cursor.Close()
	d.cursor = nil
	return err
}

// loadCursor reads the newer good slot, into done what lies behind the cursor; 0 without one.
func (d *disk) loadCursor() (through Pos) {
	f, err := d.fs.Open(cursorFile)
	if err != nil {
		return 0
	}
	defer f.Close()
	for i := range int64(2) {
		slot := make([]byte, cursorSlot)
		n, _ := f.ReadAt(slot, i*cursorSlot)
		if n < cursorBytes {
			continue
		}
		end := cursorBytes + int64(binary.BigEndian.Uint32(slot[20:]))
		if end > int64(n) || crc32.Checksum(slot[4:end], castagnoli()) != binary.BigEndian.Uint32(slot) {
			continue
		}
		if turn := binary.BigEndian.Uint64(slot[4:]); turn > d.cursorTurn {
			d.cursorTurn, through = turn, Pos(binary.BigEndian.Uint64(slot[12:]))
			d.done, _ = parseRuns(through, slot[cursorBytes:end])
		}
	}
	return through
}

func (d *disk) close() error {
	var errs []error
	if d.active != nil {
		errs = append(errs, d.active.Close())
		d.active = nil
	}
	if d.cursor != nil {
		errs = append(errs, d.cursor.Sync(), d.closeCursor())
	}
	return errors.Join(errs...)
}
