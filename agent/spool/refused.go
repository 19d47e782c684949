package spool

import (
	"errors"
	"io/fs"
	"time"
)

// refused is the FS of a directory that is left alone, and why: nothing in it is read, removed or written over.
type refused struct {
	dir FS
	why error
}

// takeable is dir, or refused where something in it is there and we may not read it, as after a change of the agent's user. Some
// of a spool is worse than none: a segment that cannot be opened would pass for one of no use, and a cursor that begins again
// would call records done with that wait.
func takeable(dir FS) FS {
	names, err := dir.List()
	if err != nil {
		return refused{dir, err}
	}
	for _, name := range names {
		if _, segment := parseSegmentName(name); !segment && name != metaFile && name != cursorFile {
			continue
		}
		f, err := dir.Open(name)
		if err == nil {
			_ = f.Close()
		} else if errors.Is(err, fs.ErrPermission) {
			return refused{dir, err}
		}
	}
	return dir
}

// LeftAlone is why Open has left alone what is in the directory, so that all is in memory; nil: it has not. mended: it may be
// read now. Whoever has the directory to himself calls TakeUp and Close then, and opens it again.
func (s *Spool) LeftAlone() (why error, mended bool) {
	r, is := s.fs.(refused)
	if !is {
		return nil, false
	}
	_, still := takeable(r.dir).(refused)
	return r.why, !still
}

// TakeUp writes what memory holds behind what Open has left alone, where that may be read now, under the numbers that it has. It
// is called before Close, when no other process uses the directory. Nothing is appended after it.
func (s *Spool) TakeUp() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, is := s.fs.(refused)
	if !is || s.closed {
		return nil
	}
	s.out = nil
	s.settleEvicts()
	s.markGaps(nil)
	o := s.o
	o.WriteAfter = time.Hour // it is one write
	behind, err := Open(r.dir, o)
	if err != nil {
		return err
	}
	if still, is := behind.fs.(refused); is {
		return still.why
	}
	behind.mu.Lock()
	for i := range s.tail {
		if rec := &s.tail[i]; behind.makeRoom(rec.size(), rec.at) {
			behind.add(*rec)
			behind.count.Accepted++
		} else {
			behind.loseRecord(rec, ReasonFull)
		}
	}
	behind.mu.Unlock()
	if err := behind.Close(); err != nil {
		return err
	}
	s.tail, s.tailBytes, s.closed = nil, 0, true
	return nil
}

// Create implements FS, as all below.
func (r refused) Create(string) (File, error) { return nil, r.why }

// Open implements FS.
func (r refused) Open(string) (File, error) { return nil, r.why }

// Rename implements FS.
func (r refused) Rename(_, _ string) error { return r.why }

// Remove implements FS.
func (r refused) Remove(string) error { return r.why }

// List implements FS.
func (r refused) List() ([]string, error) { return nil, r.why }

// Sync implements FS.
func (r refused) Sync() error { return r.why }

// Free implements FS.
func (r refused) Free() (free, total int64, err error) { return 0, 0, r.why }
