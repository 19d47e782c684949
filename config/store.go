package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/linkbeat/linkbeat/agent/ownfile"
)

// The files of a store.
const (
	goodFile     = "config.good.yaml" // the text of the last document that was put to use
	identityFile = "identity"         // "mac6 a1b2c3"
)

// ErrNotKept is wrapped by what a [Store] could not write.
var ErrNotKept = errors.New("could not be kept")

// ErrNothingKept is returned when there is no last good document yet.
var ErrNothingKept = errors.New("no last good document")

// Store keeps the last good document and the identity in the state directory. A write is all or nothing: temporary file,
// fsync, rename, fsync of the directory. Nothing is opened before it is needed and nothing stays open, so a missing or
// read-only disk is an error of the call, not of the start. One process at a time; not safe for concurrent use.
type Store struct{ dir string }

// NewStore is the store in dir, which is made when something is kept.
func NewStore(dir string) *Store { return &Store{dir} }

// Dir is the state directory.
func (s *Store) Dir() string { return s.dir }

// SaveGood keeps the text of a document, called after it was put to use. It is the text as it was read: ${NAME} stays
// what it is, so no secret of the environment reaches the disk. The same text again costs no write.
func (s *Store) SaveGood(src []byte) error {
	if old, others, err := s.LoadGood(); err == nil && others == "" && string(old) == string(src) {
		return nil
	}
	if err := s.write(goodFile, src); err != nil {
		return fmt.Errorf("last good configuration %w: %w", ErrNotKept, err)
	}
	return nil
}

// LoadGood is the text that SaveGood kept, or [ErrNothingKept]. Programs that stand in it would run as we do: others says who
// else could have written it, and what mends that; empty: nobody.
func (s *Store) LoadGood() (src []byte, others string, err error) {
	src, err = s.read(goodFile, func(root *os.Root, name string, most int64) (p []byte, err error) {
		p, others, err = ownfile.ReadOwn(root, name, most)
		return p, err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", ErrNothingKept
	}
	return src, others, err
}

func (s *Store) mac6() (string, error) {
	p, err := s.read(identityFile, ownfile.Read)
	if err != nil {
		return "", err
	}
	mac, ok := strings.CutPrefix(strings.TrimSpace(string(p)), "mac6 ")
	if !ok || len(mac) != 6 || strings.Trim(mac, "0123456789abcdef") != "" {
		return "", fmt.Errorf("%s/%s: not an identity", s.dir, identityFile)
	}
	return mac, nil
}

func (s *Store) keepMAC6(mac string) error {
	if err := s.write(identityFile, []byte("mac6 "+mac+"\n")); err != nil {
		return fmt.Errorf("identity %w: %w", ErrNotKept, err)
	}
	return nil
}

func (s *Store) read(name string, how func(*os.Root, string, int64) ([]byte, error)) ([]byte, error) {
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	p, err := how(root, name, maxSource)
	if err != nil {
		return nil, fmt.Errorf("%s/%s: %w", s.dir, name, err)
	}
	return p, nil
}

func (s *Store) write(name string, p []byte) error {
	if err := os.MkdirAll(s.dir, 0o750); err != nil {
		return err
	}
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return ownfile.Replace(root, name, p)
}
