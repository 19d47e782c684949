package ownfile

import (
	"errors"
	"os"
	"path/filepath"
)

// Draft is a file that is not there yet under its name. Write to it, then Keep or Drop it.
type Draft struct {
	*os.File
	root *os.Root
	name string
}

// Begin begins a file, beside the one that it replaces.
func Begin(root *os.Root, name string) (*Draft, error) {
	if err := Free(root, name); err != nil {
		return nil, err
	}
	f, err := Make(root, name+tempSuffix)
	if err != nil {
		return nil, err
	}
	return &Draft{f, root, name}, nil
}

// Keep gives it its name, all or nothing over a power cut: the file is synced, renamed, and the directory is synced. It stays
// open.
func (d *Draft) Keep() error {
	if err := d.Sync(); err != nil {
		return err
	}
	if err := Rename(d.root, d.name+tempSuffix, d.name); err != nil {
		return err
	}
	return SyncDir(d.root)
}

// Drop closes and removes it, after an error.
func (d *Draft) Drop() error {
	_ = d.Close()
	return d.root.Remove(d.name + tempSuffix)
}

// SyncDir makes names durable.
func SyncDir(root *os.Root) error {
	dir, err := root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Replace writes a file, all or nothing.
func Replace(root *os.Root, name string, p []byte) error {
	return write(root, name, func(f *os.File) error {
		_, err := f.Write(p)
		return err
	})
}

// ReplacePath is Replace for a file that a person names, whose directory is there, and for content that comes in pieces. There
// the directory may be anybody's: only a file of the one who runs us is replaced.
func ReplacePath(name string, content func(*os.File) error) error {
	root, err := os.OpenRoot(filepath.Dir(name))
	if err != nil {
		return err
	}
	defer root.Close()
	base := filepath.Base(name)
	if info, err := root.Lstat(base); err == nil && info.Mode().IsRegular() {
		if what := foreign(info, nil); what != "" {
			return others(root, base, what)
		}
	}
	return write(root, base, content)
}

func write(root *os.Root, name string, content func(*os.File) error) error {
	d, err := Begin(root, name)
	if err != nil {
		return err
	}
	if err := content(d.File); err != nil {
		return errors.Join(err, d.Drop())
	}
	if err := d.Keep(); err != nil {
		_ = d.Drop() // what is left makes room the next time
		return err
	}
	return d.Close()
}
