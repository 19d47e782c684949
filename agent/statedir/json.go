package statedir

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"github.com/linkbeat/linkbeat/agent/ownfile"
)

// asideSuffix is added to the name of a file that could not be read, so that it is kept for whoever wants to know why.
const asideSuffix = ".corrupt"

// JSON is a file that holds one T, in whose JSON "layout" is the number of its layout. Immutable; of two Saves at once either
// may last.
type JSON[T any] struct {
	Root   *os.Root // nil: nothing is kept, and nothing is ever found
	Name   string
	Layout int   // a file of another one is not understood
	Max    int64 // bytes; what is longer is not ours
}

// Load reads the file. Without one it is the zero T. A file that cannot be read or understood is set aside under the name
// that [JSON.Aside] says; the error says why, and the T is the zero one. One that may not be read, or that is not ours, is left
// alone: see [JSON.After].
func (f JSON[T]) Load() (T, error) {
	var doc, none T
	if err := f.file().load(&doc); err != nil {
		return none, err
	}
	return doc, nil
}

// After is the file to go on with after Load. Over one that may not be read nothing is written, not even when it may later: what
// is in it is worth more.
func (f JSON[T]) After(err error) JSON[T] {
	if errors.Is(err, fs.ErrPermission) {
		f.Root = nil
	}
	return f
}

// Aside is where Load leaves a file that it does not understand; empty after one that it may not read, which stays.
func (f JSON[T]) Aside() string {
	if f.Root == nil {
		return ""
	}
	return f.file().aside()
}

// Save writes the file, all or nothing. mu is held while doc is read, and not while the disk works.
func (f JSON[T]) Save(mu sync.Locker, doc *T) error { return f.file().save(mu, doc) }

// jsonFile is JSON without its T, so that the program has the code once.
type jsonFile JSON[any]

func (f JSON[T]) file() jsonFile { return jsonFile(f) }

func (f jsonFile) aside() string { return f.Name + asideSuffix }

func (f jsonFile) load(doc any) error {
	if f.Root == nil {
		return nil
	}
	p, err := f.read()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(p, doc)
	}
	if err != nil && !ownfile.LeftAlone(err) {
		return errors.Join(err, ownfile.Rename(f.Root, f.Name, f.aside()))
	}
	return err
}

// read returns the file, which has the right size and layout.
func (f jsonFile) read() ([]byte, error) {
	p, err := ownfile.Read(f.Root, f.Name, f.Max)
	if err != nil {
		return nil, err
	}
	if body, _ := seal().Cut(p); body == nil {
		return nil, errors.New("its checksum is wrong: it was damaged, or edited without taking out the line sum")
	}
	var head struct {
		Layout int `json:"layout"`
	}
	if err := json.Unmarshal(p, &head); err != nil {
		return nil, err
	}
	if head.Layout != f.Layout {
		return nil, fmt.Errorf("layout %d, not %d", head.Layout, f.Layout)
	}
	return p, nil
}

func (f jsonFile) save(mu sync.Locker, doc any) error {
	if f.Root == nil {
		return nil
	}
	mu.Lock()
	p, err := json.MarshalIndent(doc, "", " ")
	mu.Unlock()
	if err != nil {
		return err
	}
	return ownfile.Replace(f.Root, f.Name, seal().Append(bytes.TrimSuffix(p, []byte("\n}"))))
}

// seal is the checksum at the end. Agents from before it write none.
func seal() ownfile.Seal { return ownfile.Seal{Key: ",\n \"sum\": ", End: "\n}\n"} }
