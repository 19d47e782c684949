package spool

import (
	"errors"
	"io"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/linkbeat/linkbeat/agent/ownfile"
)

// FS is the one directory that a spool lives in, and the seam for tests that break disks. Names are plain, without
// separators. Not safe for concurrent use by two spools.
type FS interface {
	Create(name string) (File, error)     // a new, empty file; replaces an old one
	Open(name string) (File, error)       // an existing file, for reading and writing
	Rename(from, to string) error         // atomic; replaces to
	Remove(name string) error             // an open file stays readable
	List() ([]string, error)              // sorted
	Sync() error                          // makes creations, renames and removals durable
	Free() (free, total int64, err error) // bytes of the disk
}

// File is an open file of an FS.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Sync() error // makes what was written durable; after an error nothing is known of it, ever
	Size() (int64, error)
	Truncate(size int64) error
}

// Dir is the FS of a directory, made when it is first needed. It is opened again for every use, so that a disk that went
// away and came back is found again.
func Dir(path string) FS { return dir(path) }

type dir string

func (d dir) root() (*os.Root, error) {
	root, err := os.OpenRoot(string(d))
	if !errors.Is(err, os.ErrNotExist) {
		return root, err
	}
	if err := ownfile.MakeFolder(string(d)); err != nil {
		return nil, err
	}
	return os.OpenRoot(string(d))
}

func (d dir) open(how func(root *os.Root) (*os.File, error)) (File, error) {
	root, err := d.root()
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := how(root)
	if err != nil {
		return nil, err
	}
	return file{f}, nil
}

// Create implements FS.
func (d dir) Create(name string) (File, error) {
	return d.open(func(root *os.Root) (*os.File, error) { return ownfile.Make(root, name) })
}

// Open implements FS.
func (d dir) Open(name string) (File, error) {
	return d.open(func(root *os.Root) (*os.File, error) {
		f, err := ownfile.Open(root, name, os.O_RDWR)
		if errors.Is(err, unix.EROFS) || errors.Is(err, os.ErrPermission) || errors.Is(err, ownfile.ErrInTheWay) {
			return ownfile.Open(root, name, os.O_RDONLY) // what is there can still be sent
		}
		return f, err
	})
}

// Rename implements FS.
func (d dir) Rename(from, to string) error {
	root, err := d.root()
	if err != nil {
		return err
	}
	defer root.Close()
	return ownfile.Rename(root, from, to)
}

// Remove implements FS. What is not a file of ours stays, whatever its name.
func (d dir) Remove(name string) error {
	root, err := d.root()
	if err != nil {
		return err
	}
	defer root.Close()
	if err := ownfile.Free(root, name); err != nil {
		return err
	}
	return root.Remove(name)
}

// List implements FS.
func (d dir) List() ([]string, error) {
	entries, err := os.ReadDir(string(d))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	slices.Sort(names)
	return names, err
}

// Sync implements FS.
func (d dir) Sync() error {
	f, err := os.Open(string(d))
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// Free implements FS.
func (d dir) Free() (free, total int64, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(string(d), &s); err != nil {
		return 0, 0, err
	}
	return int64(s.Bavail) * int64(s.Bsize), int64(s.Blocks) * int64(s.Bsize), nil
}

type file struct{ *os.File }

// Sync implements File: data and the size that reading it needs, not the times.
func (f file) Sync() error { return unix.Fdatasync(int(f.Fd())) }

// Size implements File.
func (f file) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
