package ownfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// MakeFolder makes a directory that is ours alone, and those above it that are missing, and returns when their names are on the
// disk: a file that was synced is lost with the name of a directory above it that was not. One that is there is left as it is.
func MakeFolder(path string) error {
	err := os.Mkdir(path, 0o700)
	switch above := filepath.Dir(path); {
	case errors.Is(err, fs.ErrExist):
		return os.MkdirAll(path, 0o700) // says so when it is no directory
	case errors.Is(err, fs.ErrNotExist) && above != path:
		if err := MakeFolder(above); err != nil {
			return err
		}
		return MakeFolder(path)
	case err != nil:
		return err
	default:
		return syncFolder(above)
	}
}

func syncFolder(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrPermission) {
		return nil // one that we may not read was not made by us; nobody can say more of its names
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
