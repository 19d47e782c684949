package spool

import (
	"errors"
	"syscall"
	"time"
)

// flush writes what memory holds. When the disk does not take it, the rest stays in memory, Status says why, and it is
// tried again later.
func (s *Spool) flush(now time.Time) {
	d := &s.disk
	if d.blind || d.why != "" && now.Before(d.retryAt) {
		return
	}
	reserved := false
	for len(s.tail) > 0 {
		err := s.writeSome(now)
		if errors.Is(err, syscall.ENOSPC) && !reserved {
			reserved = true // the reserve, or the oldest segment, makes room once
			if d.freeReserve() || s.o.WhenFull == DropOldest && len(d.segments) > 0 && s.evictOldest(ReasonFull) {
				continue
			}
		}
		if err != nil {
			_ = d.fail(now, "disk cannot be written", err)
			return
		}
		reserved = false
	}
	if s.o.Sync == 0 || d.pending >= maxUnsynced {
		if !s.sync(now) {
			return
		}
	}
	d.why = ""
}

// writeSome writes as many records as the active segment has room for, after beginning a new one if it has none.
func (s *Spool) writeSome(now time.Time) error {
	d := &s.disk
	if s.metaOld { // or the numbers that were lost so far would pass for known ones
		if err := s.saveMeta(false); err != nil {
			return err
		}
	}
	if d.active == nil || d.segments[len(d.segments)-1].frames() >= s.o.SegmentBytes {
		if !s.sync(now) {
			return errors.New(d.why)
		}
		if err := d.room(); err != nil {
			return err
		}
		if err := d.roll(s.tail[0].pos); err != nil {
			return err
		}
	}
	room := s.o.SegmentBytes - d.segments[len(d.segments)-1].frames()
	n, bytes := 0, int64(0)
	for n < len(s.tail) && (n == 0 || bytes+s.tail[n].size() <= room) {
		bytes += s.tail[n].size()
		n++
	}
	if seg := d.segments[len(d.segments)-1]; len(seg.waits) == 0 {
		seg.oldest, seg.began = s.tail[0].up, s.tail[0].at.UnixMilli() // what it held is acknowledged
	}
	if err := d.write(s.tail[:n], now); err != nil {
		return err
	}
	s.tail = append([]record(nil), s.tail[n:]...)
	s.tailBytes -= bytes
	return nil
}

// sync makes what was written durable. A failure is never retried on the same descriptor: the records are written again,
// to another segment, once at once and then later. False: the disk failed.
func (s *Spool) sync(now time.Time) bool {
	records, err := s.disk.settle()
	if err == nil {
		return true
	}
	s.tail = append(records, s.tail...)
	for i := range records {
		s.tailBytes += records[i].size()
	}
	if s.disk.why == "" {
		_ = s.disk.fail(now, "disk does not sync", err)
		s.disk.retryAt = now
		s.flush(now)
		return s.disk.why == ""
	}
	_ = s.disk.fail(now, "disk does not sync", err)
	return false
}

// keepReserve sees to it that a segment's worth of disk is set aside, so that a full disk can still be written to once.
func (d *disk) keepReserve() error {
	if f, err := d.fs.Open(reserveFile); err == nil {
		return f.Close()
	}
	f, err := d.fs.Create(reserveFile)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(make([]byte, d.o.SegmentBytes), 0); err != nil {
		return errors.Join(err, f.Close(), d.fs.Remove(reserveFile))
	}
	d.written += d.o.SegmentBytes
	return f.Close()
}

func (d *disk) freeReserve() bool { return d.fs.Remove(reserveFile) == nil }
