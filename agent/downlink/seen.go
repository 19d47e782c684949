package downlink

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/linkbeat/linkbeat/agent/ownfile"
)

// seenFile is a witness beside the journal, one line of seenBytes that is written in place: how many commands were taken, and
// what their expires were. A journal that knows fewer has lost some, and then nothing that may be one of them is carried out. It
// is written after the journal was synced, and is not synced itself: a power cut makes it say less, and never more than is true.
const (
	seenFile  = "commands.seen"
	seenBytes = 512 // a sector, which a disk writes as a whole
)

type seen struct {
	Taken   int64 `json:"taken"`
	Expires marks `json:"expires"`
}

// loadSeen reads the witness; the zero one without it. The error is of one that is there and of no use.
func loadSeen(root *os.Root) (s seen, err error) {
	p, err := ownfile.Read(root, seenFile, seenBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	size := len(p)
	p, _, _ = bytes.Cut(p, []byte("\n"))
	if body, sealed := seal().Cut(append(p, '\n')); !sealed || json.Unmarshal(append(body, '}'), &s) != nil {
		return seen{}, fmt.Errorf("of its %d bytes none are as they were written", size)
	}
	return s, nil
}

// saveSeen writes the witness as well as it can: without it the journal is what it is without a witness.
func (j *Journal) saveSeen() {
	p, err := line(j.seen)
	if err != nil || len(p) > seenBytes {
		return
	}
	if j.witness == nil {
		if j.witness, err = ownfile.OpenOrMake(j.root, seenFile, os.O_RDWR); err != nil {
			return
		}
		if info, err := j.witness.Stat(); err == nil && info.Size() > seenBytes { // what is longer nobody reads
			_ = j.witness.Truncate(seenBytes)
		}
	}
	if _, err := j.witness.WriteAt(append(p, make([]byte, seenBytes-len(p))...), 0); err != nil {
		j.witness.Close()
		j.witness = nil
	}
}
