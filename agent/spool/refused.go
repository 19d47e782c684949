package spool

import (
	"errors"
	"io/fs"
)

// refused is the FS of a directory that is left alone, and why: nothing in it is read, removed or written over.
type refused struct{ why error }

// takeable is dir, or refused where something in it is there and we may not read it, as after a change of the agent's user. Some
// of a spool is worse than none: a segment that cannot be opened would pass for one of no use, and a cursor that begins again
// would call records done with that wait.
func takeable(dir FS) FS {
	names, err := dir.List()
	if err != nil {
		return refused{err}
	}
	for _, name := range names {
		if _, segment := parseSegmentName(name); !segment && name != metaFile && name != cursorFile {
			continue
		}
		f, err := dir.Open(name)
		if err == nil {
			_ = f.Close()
		} else if errors.Is(err, fs.ErrPermission) {
			return refused{err}
		}
	}
	return dir
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
