package downlink

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"github.com/linkbeat/linkbeat/agent/ownfile"
)

// The journal is a file of lines, each one JSON object whose last key is the checksum of what stands before it:
//
//	{"gone":812,"forgot":[{"low":1795208621123,"high":1795294021000}],"sum":"9be3c0a1"}   the head
//	{"id":"…","name":"meter","expires":1795208621123,"sum":"…"}              taken: synced before the device sees a byte
//	{"id":"…","name":"meter","expires":1795208621123,"reply":{…},"sum":"…"}  finished: not synced
//
// The loss of a finished one only makes the outcome unknown.
//
// Agents from before the checksum pass over the head, which has no id, and over the key sum; of theirs, which have no head, no
// line needs a sum. A last line without its end is what a power cut leaves of a write: it was not synced, so no device has seen a
// byte.
const (
	lineMost    = 64 << 10 // bytes
	journalMost = 16 << 20 // bytes of a file that is ours
)

// head is the first line: how many commands were forgotten, and what they leave.
type head struct {
	Gone   int64 `json:"gone"`
	Forgot marks `json:"forgot"`
}

func seal() ownfile.Seal { return ownfile.Seal{Key: `,"sum":`, End: "}\n"} }

// line is v as it stands in the file.
func line(v any) ([]byte, error) {
	p, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return seal().Append(p[:len(p)-1]), nil
}

// readJournal reads lines into j. It tells how many are damaged, and whether an agent of today wrote the file.
func (j *Journal) readJournal(r io.Reader) (bad int, ours bool, err error) {
	lines := bufio.NewReaderSize(r, lineMost)
	for {
		p, err := lines.ReadSlice('\n')
		whole := err == nil
		for errors.Is(err, bufio.ErrBufferFull) { // no line of ours
			_, err = lines.ReadSlice('\n')
		}
		switch {
		case err == io.EOF:
			j.readLine(p, &ours) // a torn one is as if it were not there: if it was more, its command is missing in the count
			return bad, ours, nil
		case err != nil:
			return bad, ours, err
		case !whole || !j.readLine(p, &ours):
			bad++
		}
		j.lines++
	}
}

// readLine takes one line; false: it is damaged.
func (j *Journal) readLine(p []byte, ours *bool) bool {
	body, sealed := seal().Cut(p)
	switch {
	case body == nil || *ours && !sealed:
		return false
	case sealed:
		body = append(body, '}')
	}
	if sealed && bytes.HasPrefix(body, []byte(`{"gone":`)) {
		var h head
		*ours = json.Unmarshal(body, &h) == nil
		j.gone, j.forgot = h.Gone, h.Forgot
		return *ours
	}
	var e journalEntry
	if json.Unmarshal(body, &e) != nil || e.ID == "" || len(e.ID)+len(e.Name) > journalNames || len(j.entries) >= journalRewrite {
		return false
	}
	if e.Reply != nil {
		if j.kept += len(body); j.kept > journalAnswers {
			e.Reply = e.shortened()
		}
	}
	j.entries[e.ID] = &e
	return true
}
