package pump

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/linkbeat/linkbeat/agent/ownfile"
	"github.com/linkbeat/linkbeat/agent/statuspage"
)

// Files of the quarantine in the state directory; the older one makes room when the newer one is full. They are lines of JSON.
const (
	quarantineFile = "quarantine.ndjson"
	quarantineOld  = "quarantine.old.ndjson"
	quarantineMax  = 1 << 20 // bytes of both together
)

// Quarantine keeps what could not be published, for a person to look at: the server closes the connection at it, or it is not a
// valid publish. Sent again and again it would stop the uplink, and throwing it away is not for us to decide. Safe for
// concurrent use.
type Quarantine struct {
	root *os.Root // nil: nothing can be kept

	mu   sync.Mutex
	kept statuspage.Quarantine
	size int64 // of quarantineFile
}

// quarantined is one line.
type quarantined struct {
	At      int64  `json:"at"`      // Unix ms
	Device  string `json:"device"`  // or stream
	Seq     uint64 `json:"seq"`     // of its first record
	Records int    `json:"records"` // in this publish
	Topic   string `json:"topic"`
	Why     string `json:"why"`
	Payload []byte `json:"payload"` // base64
}

// OpenQuarantine returns the quarantine in the state directory; with a nil root nothing can be kept, and all is lost and counted.
func OpenQuarantine(root *os.Root) *Quarantine {
	q := &Quarantine{root: root}
	if root == nil {
		return q
	}
	for _, name := range []string{quarantineOld, quarantineFile} {
		if info, err := root.Lstat(name); err == nil {
			q.kept.Bytes, q.size = q.kept.Bytes+info.Size(), info.Size()
		} else {
			q.size = 0
		}
	}
	return q
}

// keep writes a publish down. On error the records are lost, and counted so.
func (q *Quarantine) keep(bad *publish, why error, now time.Time) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := int64(len(bad.positions))
	q.kept.Records += n
	err := q.write(bad, why, now)
	if err != nil {
		q.kept.Lost += n
	}
	return err
}

func (q *Quarantine) write(bad *publish, why error, now time.Time) error {
	if q.root == nil {
		return errors.New("no state directory")
	}
	line, err := json.Marshal(quarantined{At: now.UnixMilli(), Device: bad.stream, Seq: uint64(bad.seq),
		Records: len(bad.positions), Topic: bad.message.Topic, Why: why.Error(), Payload: bad.message.Payload})
	if err != nil {
		return err
	}
	line = append(line, '\n')
	if len(line) > quarantineMax/2 {
		return fmt.Errorf("%d bytes do not fit into the quarantine", len(line))
	}
	if q.size+int64(len(line)) > quarantineMax/2 {
		if err := ownfile.Rename(q.root, quarantineFile, quarantineOld); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		q.kept.Bytes, q.size = q.size, 0
	}
	f, err := ownfile.OpenOrMake(q.root, quarantineFile, os.O_WRONLY|os.O_APPEND)
	if err != nil {
		return err
	}
	written, err := f.Write(line)
	err = errors.Join(err, f.Sync(), f.Close())
	q.size, q.kept.Bytes = q.size+int64(written), q.kept.Bytes+int64(written)
	return err
}

// Status is what is in it.
func (q *Quarantine) Status() statuspage.Quarantine {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.kept
}
