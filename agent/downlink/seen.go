package downlink

import (
	"encoding/json"
	"fmt"
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

// loadSeen reads the witness; false without one.
func loadSeen(root *os.Root) (s seen, ok bool) {
	p, err := ownfile.Read(root, seenFile, seenBytes)
	if err != nil {
		return seen{}, false
	}
	body, sealed, err := unsealed(p)
	if err != nil || !sealed || json.Unmarshal(body, &s) != nil {
		return seen{}, false
	}
	return s, true
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
	}
	if _, err := j.witness.WriteAt(fmt.Appendf(nil, "%-*s\n", seenBytes-1, p[:len(p)-1]), 0); err != nil {
		j.witness.Close()
		j.witness = nil
	}
}
