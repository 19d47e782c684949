// Package ownfile opens, reads and makes every file that is ours: in the state directory, in spools, and where a person wants
// one. The agent may run as root, and others may write to the directory: what stands in the way is never followed, waited for or
// overwritten unless it is a regular file that is ours. Names are plain, without separators.
package ownfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// mode is that of every file: what is learnt and said on a site is nobody else's, and some of it is secret.
const mode = 0o600

// tempSuffix is of a file that is not whole yet. One that a crash left behind is ours, and makes room.
const tempSuffix = ".tmp"

// ErrInTheWay is of a name where something stands that is not a file of ours. The error says what, and what to do; nothing was
// changed.
var ErrInTheWay = errors.New("is in the way")

// ErrAnothers is ErrInTheWay of a file that is another user's: perhaps of the one that the agent ran as before.
var ErrAnothers = fmt.Errorf("%w, as another user's", ErrInTheWay)

// Open opens a file that is there. flag is os.O_RDONLY, os.O_WRONLY or os.O_RDWR, with os.O_APPEND or without: one to be written
// must be ours, any must be regular. It never waits, not even for the other end of a FIFO.
func Open(root *os.Root, name string, flag int) (*os.File, error) {
	before, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if err := inTheWay(root, name, before, flag&(os.O_WRONLY|os.O_RDWR) != 0); err != nil {
		return nil, err
	}
	f, err := root.OpenFile(name, flag&(os.O_WRONLY|os.O_RDWR|os.O_APPEND)|nonBlocking, 0)
	if err != nil {
		return nil, err
	}
	after, err := f.Stat()
	if err == nil && !os.SameFile(before, after) { // replaced meanwhile, by a symlink perhaps
		err = fmt.Errorf("%s: %w: it was replaced while it was opened: try again", path(root, name), ErrInTheWay)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Read is the content of a file that is there. One with more than most bytes is not read: the error says its size.
func Read(root *os.Root, name string, most int64) ([]byte, error) {
	p, _, err := read(root, name, most)
	return p, err
}

// ReadOwn is Read of what names programs that run. others says who else than root and we can have written it, whoever's directory
// it is in and wherever that was moved or linked to, and what mends that; empty: nobody. Where the disk gives what we make to
// somebody else (a mapped user, NFS with root_squash), that one is us.
func ReadOwn(root *os.Root, name string, most int64) (p []byte, others string, err error) {
	p, info, err := read(root, name, most)
	if err == nil {
		others = writer(root, name, info)
	}
	return p, others, err
}

func read(root *os.Root, name string, most int64) ([]byte, fs.FileInfo, error) {
	f, err := Open(root, name, os.O_RDONLY)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	size, p := info.Size(), []byte(nil)
	if size <= most {
		p, err = io.ReadAll(io.LimitReader(f, most+1))
		size = int64(len(p))
	}
	if err == nil && size > most {
		return nil, nil, fmt.Errorf("%s has %d bytes, at most %d are read", name, size, most)
	}
	return p, info, err
}

// LeftAlone tells whether an error is one of what may not be touched, and so is no damage: a file that is not ours, or that
// belongs to whom the agent ran as before.
func LeftAlone(err error) bool {
	return errors.Is(err, ErrInTheWay) || errors.Is(err, fs.ErrPermission)
}

// OpenOrMake is Open for writing, after making the file where there is none.
func OpenOrMake(root *os.Root, name string, flag int) (*os.File, error) {
	f, err := Open(root, name, flag)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	if f, err = root.OpenFile(name, flag|os.O_CREATE|os.O_EXCL, mode); errors.Is(err, fs.ErrExist) {
		return Open(root, name, flag)
	}
	return f, err
}

// Make makes a new, empty file, to be read and written. An old one of ours goes; who has it open keeps it.
func Make(root *os.Root, name string) (*os.File, error) {
	const flag = os.O_RDWR | os.O_CREATE | os.O_EXCL // which never follows a symlink (open(2))
	f, err := root.OpenFile(name, flag, mode)
	if !errors.Is(err, fs.ErrExist) {
		return f, err
	}
	if err := Free(root, name); err != nil {
		return nil, err
	}
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return root.OpenFile(name, flag, mode)
}

// sample is what becomes of a file of ours in a directory: it is made, and is gone again.
func sample(root *os.Root) (fs.FileInfo, error) {
	name := fmt.Sprintf("owner.%d%s", os.Getpid(), tempSuffix)
	f, err := root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	return info, errors.Join(err, root.Remove(name))
}

// Free is nil where there is nothing, or a regular file of ours that may be replaced.
func Free(root *os.Root, name string) error {
	info, err := root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return inTheWay(root, name, info, true)
}

// inTheWay is why what stands at name is not taken. ours: it must belong to us, to root or to whom the directory belongs, who
// could put there what he wants anyway.
func inTheWay(root *os.Root, name string, info fs.FileInfo, ours bool) error {
	what := ""
	switch m := info.Mode(); {
	case m&fs.ModeSymlink != 0:
		what = "a symbolic link"
	case m.IsDir():
		what = "a directory"
	case m&fs.ModeNamedPipe != 0:
		what = "a FIFO"
	case m&fs.ModeSocket != 0:
		what = "a socket"
	case !m.IsRegular():
		what = "a device"
	case ours:
		dir, err := root.Stat(".")
		if err != nil {
			return err
		}
		if what = foreign(info, dir); what != "" && !natureOf(root).gives(info) {
			return others(root, name, what)
		}
		return nil
	default:
		return nil
	}
	return standing(root, name, what)
}

func standing(root *os.Root, name, what string) error {
	return fmt.Errorf("%s: %s %w, and it was left alone: remove it, or use another name", path(root, name), what, ErrInTheWay)
}

func others(root *os.Root, name, what string) error {
	at := path(root, name)
	return fmt.Errorf("%s: %s %w, and it was left alone: %s if it is the agent's, or else remove it", at, what, ErrAnothers,
		Chown(at))
}

func path(root *os.Root, name string) string { return filepath.Join(root.Name(), name) }

// Rename gives a file another name, if what has that name may be replaced.
func Rename(root *os.Root, from, to string) error {
	if err := Free(root, to); err != nil {
		return err
	}
	return root.Rename(from, to)
}
