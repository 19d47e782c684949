package wire

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// entry is one line of a SenML pack (RFC 8428, 4). Labels that the standard does not know are left alone by its readers (4.4):
// the first entry of a record carries what else our own JSON says.
type entry struct {
	BaseName string          `json:"bn,omitempty"`
	BaseTime json.RawMessage `json:"bt,omitempty"` // seconds
	Name     string          `json:"n"`
	Unit     string          `json:"u,omitempty"`
	Value    json.RawMessage `json:"v,omitempty"`
	Text     *string         `json:"vs,omitempty"`
	Bool     json.RawMessage `json:"vb,omitempty"`
	Data     string          `json:"vd,omitempty"` // base64url without padding

	Seq      uint64 `json:"seq,omitempty"`
	Epoch    string `json:"epoch,omitempty"`
	Gap      *Gap   `json:"gap,omitempty"`
	Late     bool   `json:"late,omitempty"`
	Unsynced bool   `json:"unsynced,omitempty"`
}

// Names of entries that are no values.
const (
	frameEntry = "frame"
	gapEntry   = "gap"
	badSuffix  = "/bad" // of a value that could not be read; its text says why
)

// IsSenMLEntry is true for a name that no value may have: an entry of that name is something else.
func IsSenMLEntry(name string) bool { return name == frameEntry || name == gapEntry }

// senMLAbsolute is where times begin in seconds: less is relative to now (RFC 8428, 4.5.3), so a clock that
// was never set tells none.
const senMLAbsolute = 1 << 28

// SenMLBase is the base name of a device's records: gateway and name, each cut down to the characters
// that RFC 8428, 4.5.1 allows.
func SenMLBase(id, name string) string { return senMLName(id) + "/" + senMLName(name) + "/" }

func senMLName(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' ||
			strings.ContainsRune("-:._", r)) {
			return r
		}
		return '_'
	}, s)
	if s == "" || strings.ContainsRune("-:._", rune(s[0])) {
		return "x" + s
	}
	return s
}

// AppendSenML adds the record as the entries of an RFC 8428 pack, separated by commas and without the brackets around, so that
// the entries of several records make one pack. Of a clock that was not set it has no time. units are those of measure, by value.
func (r Record) AppendSenML(dst []byte, base string, units map[string]string) []byte {
	entries := r.entries(units)
	first := &entries[0]
	if first.BaseName = base; r.TS >= senMLAbsolute*1000 {
		first.BaseTime = fmt.Appendf(nil, "%d.%03d", r.TS/1000, r.TS%1000)
	}
	first.Seq, first.Epoch, first.Gap, first.Late, first.Unsynced = r.Seq, r.Epoch, r.Gap, r.Late, r.Unsynced
	for i, e := range entries {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendJSON(dst, e)
	}
	return dst
}

func (r Record) entries(units map[string]string) (all []entry) {
	for _, name := range slices.Sorted(maps.Keys(r.Values)) {
		e, v := entry{Name: name, Unit: units[name]}, r.Values[name]
		var text string
		switch {
		case json.Unmarshal(v, &text) == nil:
			e.Text = &text
		case string(v) == "true", string(v) == "false":
			e.Bool = v
		default:
			e.Value = v
		}
		all = append(all, e)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Bad)) {
		why := r.Bad[name]
		all = append(all, entry{Name: name + badSuffix, Text: &why})
	}
	if len(all) > 0 {
		return all
	}
	if r.Gap != nil {
		return []entry{{Name: gapEntry, Text: &r.Gap.Reason}}
	}
	p, err := r.Bytes()
	if err == nil && r.Text != nil && r.Base64 == nil {
		return []entry{{Name: frameEntry, Text: r.Text}}
	}
	return []entry{{Name: frameEntry, Data: base64.RawURLEncoding.EncodeToString(p)}}
}

// ParseSenML reads a pack as [Record.AppendSenML] makes them: an entry with a seq and an epoch begins a
// record. Units are left out.
// The bounds are those of [ParseRecords].
func ParseSenML(p []byte) ([]Record, error) {
	var pack pack
	err := eachOf(p, pack.take)
	if errors.Is(err, ErrTooMuch) {
		return pack.records, fmt.Errorf("pack: %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	if len(pack.records) == 0 {
		return nil, errors.New("pack: it is empty")
	}
	if err := pack.checkLast(); err != nil {
		return nil, err
	}
	return pack.records, nil
}

// pack is what was read of one.
type pack struct {
	records []Record // the last one may have more entries to come
	entries int
}

// take adds an entry.
func (k *pack) take(e *entry) error {
	i := k.entries
	k.entries++
	if e.Seq > 0 && e.Name != "" {
		if err := k.checkLast(); err != nil {
			return err
		}
		if len(k.records) == MaxRecords {
			return fmt.Errorf("%w: at most %d records", ErrTooMuch, MaxRecords)
		}
		var seconds float64
		if err := json.Unmarshal(e.BaseTime, &seconds); err != nil && e.BaseTime != nil {
			return fmt.Errorf("entry %d: base time: %w", i, err)
		}
		k.records = append(k.records, Record{Seq: e.Seq, Epoch: e.Epoch, Gap: e.Gap, Late: e.Late, Unsynced: e.Unsynced,
			TS: int64(math.Round(seconds * 1000))})
	}
	if len(k.records) == 0 {
		return errors.New("the first entry has no seq")
	}
	if err := k.records[len(k.records)-1].add(*e); err != nil {
		return fmt.Errorf("entry %d: %w", i, err)
	}
	return nil
}

// checkLast looks at the record whose entries have all come.
func (k *pack) checkLast() error {
	if n := len(k.records); n > 0 {
		if err := k.records[n-1].check(); err != nil {
			return fmt.Errorf("record %d: %w", n-1, err)
		}
	}
	return nil
}

// add puts what an entry says into the record.
func (r *Record) add(e entry) error {
	bad, isBad := strings.CutSuffix(e.Name, badSuffix)
	switch {
	case e.Name == gapEntry && r.Gap != nil:
	case e.Name == frameEntry && e.Text == nil && e.Bool == nil && e.Value == nil: // no vd at all is an empty frame
		p, err := base64.RawURLEncoding.DecodeString(e.Data)
		if err != nil {
			return fmt.Errorf("%s: %w", e.Name, err)
		}
		r.Body, _ = NewBody(p, Base64)
	case e.Name == frameEntry && e.Text != nil && r.Measured.IsZero():
		r.Text = e.Text
	case isBad && e.Text != nil:
		if r.Bad == nil {
			r.Bad = map[string]string{}
		}
		r.Bad[bad] = *e.Text
	default:
		if r.Values == nil {
			r.Values = map[string]json.RawMessage{}
		}
		r.Values[e.Name] = e.value()
	}
	return nil
}

// value is the one of its kinds that an entry has; null for none, which no record may hold.
func (e entry) value() json.RawMessage {
	switch {
	case e.Text != nil:
		p, _ := json.Marshal(*e.Text) // a string never fails
		return p
	case e.Bool != nil:
		return e.Bool
	case e.Value != nil:
		return e.Value
	}
	return json.RawMessage("null")
}
