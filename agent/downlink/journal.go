package downlink

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/linkbeat/linkbeat/agent/wire"
	"github.com/linkbeat/linkbeat/transport/capped"
)

// The journal makes commands at most once: the id of a command is on disk before its first byte goes out. It is a file of
// lines, each one JSON object:
//
//	{"id":"…","name":"meter","expires":1795208621123}               taken: synced before the device sees a byte
//	{"id":"…","name":"meter","expires":1795208621123,"reply":{…}}   finished: not synced, its loss only makes the
//	                                                                outcome unknown
//
// A line that does not parse, the torn last one above all, is skipped. An id is forgotten once its command has been expired
// for journalMargin: from then on the clock refuses it. The file is rewritten when it has grown to journalRewrite lines.
const (
	journalFile    = "commands.journal"
	journalMargin  = 10 * time.Minute
	journalMax     = 5120 // ids remembered; more unexpired commands at once are refused as busy: see room
	journalRewrite = 2 * journalMax
	journalLines   = 2 * journalRewrite // read at most: a file of ours is rewritten long before
	journalNames   = 2 << 10            // bytes of an id and a device's name; ours are shorter
	journalBytes   = 64 << 20           // of a file that is read; it holds the answers too
	journalAnswers = 4 << 20            // bytes of lines of which the answer is kept in memory; of others only what came of them
)

var (
	errJournalFull = errors.New("too many commands that have not expired yet; send fewer of them, with a nearer expires")
	errNoState     = errors.New("the state directory cannot be used")
	errRunning     = errors.New("the command is being carried out")
)

type journalEntry struct {
	ID      string      `json:"id"`
	Name    string      `json:"name"` // of the device
	Expires int64       `json:"expires"`
	Reply   *wire.Reply `json:"reply,omitempty"` // nil: not finished
}

// Journal remembers commands. Owned by the downlink's loop; not safe for concurrent use.
type Journal struct {
	root    *os.Root
	file    *os.File // nil after a disk error: opened again at the next command
	entries map[string]*journalEntry
	lines   int
	cut     []*journalEntry // taken by an earlier process and not finished: to be answered
}

// OpenJournal reads the journal in root. It never refuses: a file that cannot be read is an empty one, and the returned
// error says so. Commands that an earlier process took and did not finish get the outcome unknown_outcome.
func OpenJournal(root *os.Root) (*Journal, error) {
	j := &Journal{root: root, entries: map[string]*journalEntry{}}
	if root == nil {
		return j, errNoState
	}
	f, err := capped.OpenIn(root, journalFile, journalBytes)
	if errors.Is(err, os.ErrNotExist) {
		return j, nil
	}
	if err != nil {
		return j, fmt.Errorf("command journal: %w", err)
	}
	defer f.Close()
	err = j.read(f)
	for _, e := range j.entries {
		if e.Reply == nil {
			j.cut = append(j.cut, e)
		}
	}
	if err != nil {
		return j, fmt.Errorf("command journal: %w", err)
	}
	return j, nil
}

func (j *Journal) read(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	kept := 0
	for lines.Scan() {
		if j.lines++; j.lines > journalLines {
			return fmt.Errorf("it has more than %d lines", journalLines)
		}
		var e journalEntry
		if json.Unmarshal(lines.Bytes(), &e) != nil || e.ID == "" || len(e.ID)+len(e.Name) > journalNames {
			continue
		}
		if e.Reply != nil {
			if kept += len(lines.Bytes()); kept > journalAnswers {
				e.Reply = e.shortened()
			}
		}
		j.entries[e.ID] = &e
	}
	return lines.Err()
}

// shortened is the reply without what the device answered.
func (e *journalEntry) shortened() *wire.Reply {
	short := wire.Reply{ID: e.ID, OK: e.Reply.OK, Detail: "the answer is not kept any more"}
	if len(e.Reply.Error) <= journalNames/64 {
		short.Error = e.Reply.Error
	}
	return &short
}

// lookup returns the reply of a command seen before: nil and errRunning while it runs, nil and nil when it is new.
func (j *Journal) lookup(id string) (*wire.Reply, error) {
	e := j.entries[id]
	if e == nil {
		return nil, nil
	}
	if e.Reply == nil {
		return nil, errRunning
	}
	return e.Reply, nil
}

// begin puts a command on disk. Only when it returns nil may the command's first byte go out.
func (j *Journal) begin(c command, now time.Time) error {
	if err := j.room(c, now); err != nil {
		return err
	}
	if len(j.entries) >= journalMax || j.lines >= journalRewrite || j.file == nil {
		if err := j.rewrite(now); err != nil {
			return fmt.Errorf("command journal: %w", err)
		}
	}
	if len(j.entries) >= journalMax {
		return errJournalFull
	}
	e := &journalEntry{ID: c.id, Name: c.name, Expires: c.expires}
	if err := j.write(e, true); err != nil {
		return fmt.Errorf("command journal: %w", err)
	}
	j.entries[c.id] = e
	return nil
}

// finish notes the outcome of a command. A disk error costs only the memory of it over a restart.
func (j *Journal) finish(id string, reply wire.Reply) error {
	e := j.entries[id]
	if e == nil {
		return nil
	}
	e.Reply = &reply
	return j.write(e, false)
}

func (j *Journal) write(e *journalEntry, sync bool) error {
	if j.file == nil {
		return errors.New("not writable")
	}
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_, err = j.file.Write(append(line, '\n'))
	if err == nil && sync {
		err = j.file.Sync()
	}
	j.lines++
	if err != nil { // after a failed sync nothing is known of the descriptor's pages: begin a new file
		j.file.Close()
		j.file = nil
	}
	return err
}

// rewrite drops what the clock refuses by itself, and starts a new file: temporary, synced, renamed, directory synced.
func (j *Journal) rewrite(now time.Time) error {
	if j.root == nil {
		return errNoState
	}
	var buf bytes.Buffer
	lines := 0
	for id, e := range j.entries {
		if e.forgettable(now) {
			delete(j.entries, id)
			continue
		}
		line, err := json.Marshal(e)
		if err != nil {
			return err
		}
		buf.Write(append(line, '\n'))
		lines++
	}
	const tmp = journalFile + ".new"
	f, err := j.root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if err := j.replace(f, tmp, buf.Bytes()); err != nil {
		f.Close()
		return err
	}
	if j.file != nil {
		j.file.Close()
	}
	j.file, j.lines = f, lines
	return nil
}

func (j *Journal) replace(f *os.File, tmp string, content []byte) error {
	if _, err := f.Write(content); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := j.root.Rename(tmp, journalFile); err != nil {
		return err
	}
	dir, err := j.root.Open(".")
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// close ends the journal. What runs is left unfinished on disk: its outcome is unknown.
func (j *Journal) close() error {
	if j.file == nil {
		return nil
	}
	return errors.Join(j.file.Sync(), j.file.Close())
}
