// Package capped reads files of which nobody knows how they came to be as they are: state, certificates, passwords,
// configurations. A size is looked at before a byte is read, so that a file that something else has written cannot fill the
// memory. It does not know what is in them.
package capped

import (
	"fmt"
	"io"
	"io/fs"
	"os"
)

// How much is read of what is not the agent's own, in bytes.
const (
	PEM      = 4 << 20 // certificates of authorities, our own and its key; a system's whole bundle has 0.3 MB
	Password = 1 << 20 // MQTT sends 64 KiB of it at most
)

// TooLarge is the error of a file with more bytes than are read of it.
type TooLarge struct {
	Name string
	Size int64 // bytes; of what is no regular file, as far as it was read
	Most int64 // bytes
}

// Error names the file and both sizes.
func (e *TooLarge) Error() string {
	return fmt.Sprintf("%s has %d bytes, at most %d are read: is it the right file?", e.Name, e.Size, e.Most)
}

// ReadFile is os.ReadFile for at most most bytes; more is a *TooLarge. A pipe, which has no size, is read so far.
func ReadFile(name string, most int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return read(f, name, most)
}

// ReadFS is ReadFile in a file system whose files may say a wrong size, as those of the kernel do.
func ReadFS(from fs.FS, name string, most int64) ([]byte, error) {
	f, err := from.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return all(f, name, most)
}

func read(f *os.File, name string, most int64) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Mode().IsRegular() && info.Size() > most {
		return nil, &TooLarge{name, info.Size(), most}
	}
	return all(f, name, most)
}

// all reads to the end, and no further than most: a file may have grown, or lied about its size.
func all(r io.Reader, name string, most int64) ([]byte, error) {
	p, err := io.ReadAll(io.LimitReader(r, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(p)) > most {
		return nil, &TooLarge{name, int64(len(p)), most}
	}
	return p, nil
}
