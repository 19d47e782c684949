package downlink

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"time"

	"github.com/linkbeat/linkbeat/agent/ownfile"
	"github.com/linkbeat/linkbeat/agent/wire"
)

// The journal makes commands at most once: the id of a command is on disk before its first byte goes out; journalline.go draws
// the file. An id is forgotten once its command has been expired for journalMargin. From then on the clock refuses it; and where
// that was set back, the marks of what was forgotten do. The file is rewritten when it has grown to journalRewrite lines.
const (
	journalFile    = "commands.journal"
	journalCorrupt = journalFile + ".corrupt"
	journalMargin  = time.Minute // 600 a minute, and those of a minute or two ahead, fit into a device's share
	journalMax     = 5120        // ids remembered; more unexpired commands at once are refused as busy: see room
	journalRewrite = 2 * journalMax
	journalNames   = 2 << 10   // bytes of an id and a device's name; ours are shorter
	journalAnswers = 4 << 20   // bytes of lines of which the answer is kept in memory; of others only what came of them
	damageSaid     = time.Hour // at least
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

// Journal remembers commands. Owned by the downlink's loop; not safe for concurrent use, but for what says so.
type Journal struct {
	root    *os.Root
	file    *os.File // nil after a disk error: opened again at the next command
	witness *os.File // nil: not open
	entries map[string]*journalEntry
	lines   int
	kept    int             // bytes of lines with answers that were read
	cut     []*journalEntry // taken by an earlier process and not finished: to be answered
	gone    int64           // commands that were forgotten; with the entries, all that were ever taken
	forgot  marks           // their expires
	seen    seen            // of all that were taken

	damage     string    // what was lost; immutable
	damageEnds time.Time // when all that was lost has expired; immutable
}

// OpenJournal reads the journal in root. It never refuses: the returned error says what was lost, and what that means. Commands
// that an earlier process took and did not finish get the outcome unknown_outcome. now is the machine's clock.
func OpenJournal(root *os.Root, now time.Time) (*Journal, error) {
	j := &Journal{root: root, entries: map[string]*journalEntry{}}
	if root == nil {
		return j, errNoState
	}
	witness, unseen := loadSeen(root)
	lost := j.load(witness.Taken)
	if err := cmp.Or(barred(lost), barred(unseen)); err != nil {
		j.root = nil // until it is opened anew: what is in it may be sent again
		return j, err
	}
	for _, e := range j.entries {
		if e.Reply == nil {
			j.cut = append(j.cut, e)
		}
	}
	j.seen = seen{Taken: j.taken(), Expires: witness.Expires}
	for _, s := range j.forgot { // of a witness that was lost
		j.seen.Expires = j.seen.Expires.with(s.Low, s.High)
	}
	for _, e := range j.entries {
		j.seen.Expires = j.seen.Expires.with(e.Expires, e.Expires)
	}
	if lost == nil && unseen == nil {
		return j, nil
	}
	if lost == nil {
		j.damage = fmt.Sprintf("what stands beside the command journal to tell whether it is whole is damaged (%s: %v): "+
			"the journal is believed, and %[1]s is written anew with the next command", seenFile, unseen)
		j.damageEnds = time.Now().Add(damageSaid)
		return j, errors.New(j.damage)
	}
	return j, j.mend(lost, witness, now)
}

// barred is an error of what is there and may not be read, as after a change of the agent's user: no damage. Else nil.
func barred(err error) error {
	if !errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return fmt.Errorf("the command journal may not be read, and no command is carried out until it may: %w", err)
}

// load reads the file. The error says what is missing in it.
func (j *Journal) load(witness int64) error {
	f, err := ownfile.Open(j.root, journalFile, os.O_RDONLY)
	if errors.Is(err, os.ErrNotExist) && witness == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	bad, ours := 0, false
	if err == nil && info.Size() <= journalMost {
		bad, ours, err = j.readJournal(f)
	}
	if err != nil {
		return err
	}
	missing, fault := witness-j.taken(), ""
	switch {
	case info.Size() == 0 || info.Size() > journalMost:
		fault = "it has %[3]d bytes"
	case bad > 0:
		fault = "%[1]d of its %[2]d lines are damaged"
	case missing <= 0:
		return nil
	case ours || len(j.entries) == 0:
		fault = "%[4]d of its %[5]d commands are missing"
	default: // an agent from before the head wrote it anew, and knows not what it forgot
		j.gone += missing
		return nil
	}
	return fmt.Errorf(fault, bad, j.lines, info.Size(), missing, witness)
}

// shortened is the reply without what the device answered.
func (e *journalEntry) shortened() *wire.Reply {
	short := wire.Reply{ID: e.ID, OK: e.Reply.OK, Detail: "the answer is not kept any more"}
	if len(e.Reply.Error) <= journalNames/64 {
		short.Error = e.Reply.Error
	}
	return &short
}

// taken is how many commands were ever taken.
func (j *Journal) taken() int64 { return j.gone + int64(len(j.entries)) }

// mend makes the best of a damaged journal. Nobody knows which ids it had: so whatever expires when one of the commands that were
// taken did, or before, is refused as if it had been forgotten. Without a witness nothing is known of them. To refuse all that
// could have been sent before the loss would then refuse every command for a day, for a line that perhaps told only an outcome:
// it is said, and the commands are carried out.
func (j *Journal) mend(lost error, witness seen, now time.Time) error {
	what, ends := "commands that were carried out before now may be carried out again if they are sent again", wire.MaxExpiry
	for _, s := range witness.Expires {
		j.forgot = j.forgot.with(s.Low, s.High)
	}
	if errors.Is(lost, ownfile.ErrInTheWay) {
		what = "no command is carried out until that is moved away"
	} else if n := len(witness.Expires); n > 0 {
		high := j.forgot.reach(now.UnixMilli())
		if high == 0 { // the clock is not set yet
			high = witness.Expires[n-1].High
		}
		what = "what expires until " + utc(high) + " is refused, as it may have been carried out before"
		ends = min(ends, time.Duration(high-now.UnixMilli())*time.Millisecond)
	}
	j.gone += max(0, witness.Taken-j.taken())
	j.seen.Taken = j.taken()
	j.damage = "the command journal is damaged (" + lost.Error() + "): " + what
	j.damageEnds = time.Now().Add(max(ends, damageSaid))
	err := errors.New(j.damage)
	if errors.Is(lost, ownfile.ErrInTheWay) {
		return err
	}
	_ = ownfile.Rename(j.root, journalFile, journalCorrupt) // for whoever wants to know why
	return errors.Join(err, j.rewrite(now))                 // tried again with the next command
}

// Why says what was lost, until nothing of it can come again, and an hour at least; empty: nothing. Safe for concurrent use.
func (j *Journal) Why() string {
	if time.Now().Before(j.damageEnds) {
		return j.damage
	}
	return ""
}

// due says why a command that expires then must not be carried out although the clock would let it; an empty code: it may.
func (j *Journal) due(expires int64, now time.Time) (wire.ErrorCode, string) {
	reach := j.forgot.reach(now.UnixMilli())
	if expires > reach {
		return "", ""
	}
	return wire.Expired, "it may have been carried out before: commands that expired until " + utc(reach) +
		" are not remembered one by one any more, " +
		"and the clock here was set back, or the command journal damaged: send it under another id, with an expires after that"
}

func utc(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339) }

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
	j.seen = seen{Taken: j.taken(), Expires: j.seen.Expires.with(c.expires, c.expires)}
	j.saveSeen()
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
	p, err := line(e)
	if err != nil {
		return err
	}
	_, err = j.file.Write(p)
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

// forget drops the finished commands that expired before a time, or after another one, and marks them.
func (j *Journal) forget(before, after int64) {
	for id, e := range j.entries {
		if e.Reply != nil && (e.Expires < before || e.Expires > after) {
			delete(j.entries, id)
			j.gone++
			j.forgot = j.forgot.with(e.Expires, e.Expires)
		}
	}
}

// rewrite drops what the clock refuses by itself, and starts a new file. Only where the journal is full it drops what expires
// later than any command can, too: the clock was ahead when that came, and it would hold its room for as long.
func (j *Journal) rewrite(now time.Time) error {
	if j.root == nil {
		return errNoState
	}
	const margin = int64(journalMargin / time.Millisecond)
	at := now.UnixMilli()
	if j.forget(at-margin, math.MaxInt64); len(j.entries) >= journalMax {
		j.forget(at-margin, at+apart+margin)
	}
	buf, err := line(head{j.gone, j.forgot})
	for _, e := range j.entries {
		var p []byte
		if err == nil {
			p, err = line(e)
		}
		buf = append(buf, p...)
	}
	if err != nil {
		return err
	}
	draft, err := ownfile.Begin(j.root, journalFile)
	if err != nil {
		return err
	}
	if _, err = draft.Write(buf); err == nil {
		err = draft.Keep()
	}
	if err != nil {
		_ = draft.Drop() // the old file is what counts
		return err
	}
	if j.file != nil {
		j.file.Close()
	}
	j.file, j.lines = draft.File, 1+len(j.entries)
	return nil
}

// close ends the journal. What runs is left unfinished on disk: its outcome is unknown.
func (j *Journal) close() error {
	var errs []error
	for _, f := range []*os.File{j.file, j.witness} {
		if f != nil {
			errs = append(errs, f.Sync(), f.Close())
		}
	}
	return errors.Join(errs...)
}
