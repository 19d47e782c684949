package spool

import (
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
)

// memFS is a disk in memory that knows what is durable, and breaks on demand.
type memFS struct {
	mu      sync.Mutex
	files   map[string]*memFile // as a running system sees them
	durable map[string]*memFile // the directory after a power cut, unless luck has it
	free    int64
	room    string // the file whose removal ends writeErr

	writeErr, syncErr, allErr error // returned while set
	openErr                   map[string]error
	written                   int64
}

type memFile struct {
	fs      *memFS
	data    []byte
	durable []byte
}

func newMemFS() *memFS {
	return &memFS{files: map[string]*memFile{}, durable: map[string]*memFile{}, free: 1 << 40}
}

// powerCut is the disk that the next start finds: what was synced for sure, and of the rest what luck has it.
func (d *memFS) powerCut(luck *rand.Rand) *memFS {
	d.mu.Lock()
	defer d.mu.Unlock()
	next := newMemFS()
	names := d.durable
	if luck.IntN(2) == 0 {
		names = d.files
	}
	for name, f := range names {
		kept := slices.Clone(f.durable)
		for i := 0; i < len(f.data); i += 64 { // pages are written in any order, or not at all
			if luck.IntN(2) == 0 {
				continue
			}
			end := min(i+64, len(f.data))
			if len(kept) < end {
				kept = append(kept, make([]byte, end-len(kept))...)
			}
			copy(kept[i:end], f.data[i:end])
		}
		next.files[name] = &memFile{fs: next, data: kept, durable: slices.Clone(kept)}
	}
	next.durable = maps.Clone(next.files)
	return next
}

// kill is the disk that the next process finds after a SIGKILL: the kernel has everything that was written.
func (d *memFS) kill() *memFS {
	d.mu.Lock()
	defer d.mu.Unlock()
	next := newMemFS()
	for name, f := range d.files {
		next.files[name] = &memFile{fs: next, data: slices.Clone(f.data), durable: slices.Clone(f.durable)}
	}
	for name, f := range d.durable {
		if current, ok := d.files[name]; ok && current == f {
			next.durable[name] = next.files[name]
		} else {
			next.durable[name] = &memFile{fs: next, data: slices.Clone(f.data), durable: slices.Clone(f.durable)}
		}
	}
	return next
}

func (d *memFS) Create(name string) (File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := first(d.allErr, d.writeErr); err != nil {
		return nil, err
	}
	f := &memFile{fs: d}
	d.files[name] = f
	return f, nil
}

func (d *memFS) Open(name string) (File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.allErr != nil {
		return nil, d.allErr
	}
	f, ok := d.files[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	if err := d.openErr[name]; err != nil {
		return nil, err
	}
	return f, nil
}

func (d *memFS) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := first(d.allErr, d.writeErr); err != nil {
		return err
	}
	f, ok := d.files[from]
	if !ok {
		return fs.ErrNotExist
	}
	d.files[to] = f
	delete(d.files, from)
	return nil
}

func (d *memFS) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.allErr != nil {
		return d.allErr
	}
	if d.writeErr == syscall.EROFS {
		return d.writeErr
	}
	if _, ok := d.files[name]; !ok {
		return fs.ErrNotExist
	}
	delete(d.files, name)
	if name == d.room {
		d.writeErr, d.room = nil, ""
	}
	return nil
}

func (d *memFS) List() ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(maps.Keys(d.files)), d.allErr
}

func (d *memFS) Sync() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := first(d.allErr, d.syncErr); err != nil {
		return err
	}
	d.durable = maps.Clone(d.files)
	return nil
}

func (d *memFS) Free() (int64, int64, error) { return d.free, 1 << 40, nil }

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if off >= int64(len(f.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, f.fs.allErr
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	n, err := len(p), first(f.fs.allErr, f.fs.writeErr)
	if err == syscall.ENOSPC {
		n = len(p) / 2 // a full disk takes a part
	} else if err != nil {
		n = 0
	}
	if end := int(off) + n; len(f.data) < end {
		f.data = append(f.data, make([]byte, end-len(f.data))...)
	}
	copy(f.data[off:], p[:n])
	f.fs.written += int64(n)
	return n, err
}

func (f *memFile) Sync() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := first(f.fs.allErr, f.fs.syncErr); err != nil {
		return err
	}
	f.durable = slices.Clone(f.data)
	return nil
}

func (f *memFile) Size() (int64, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return int64(len(f.data)), f.fs.allErr
}

func (f *memFile) Truncate(size int64) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.fs.allErr == nil {
		f.data = f.data[:min(size, int64(len(f.data)))]
	}
	return f.fs.allErr
}

func (f *memFile) Close() error { return nil }

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// alwaysLost is the luck with which nothing survives a power cut but what was synced.
func alwaysLost() *rand.Rand { return rand.New(badLuck{}) }

type badLuck struct{}

func (badLuck) Uint64() uint64 { return 1 << 63 } // IntN(2) is 1 then

// fullBut makes the disk full until the named file is removed.
func (d *memFS) fullBut(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writeErr, d.room = syscall.ENOSPC, name
}
