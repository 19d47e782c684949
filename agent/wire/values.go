package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// Measured is what one poll of a unit says: a value by name, or why there is none; never both, never null.
type Measured struct {
	Values map[string]json.RawMessage `json:"values,omitempty"` // numbers, strings and truth values
	Bad    map[string]string          `json:"bad,omitempty"`    // timeout, or the name of a Modbus exception
}

// IsZero is true when it says nothing.
func (m Measured) IsZero() bool { return len(m.Values)+len(m.Bad) == 0 }

// Append adds its JSON to dst.
func (m Measured) Append(dst []byte) []byte { return appendJSON(dst, m) }

func (m Measured) check() error {
	for name, v := range m.Values {
		if v = bytes.TrimSpace(v); len(v) == 0 || !strings.ContainsRune(`"tf-0123456789`, rune(v[0])) {
			return fmt.Errorf("value %q is no number, string or truth value", name)
		}
	}
	return nil
}

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

// SenMLBase is the base name of a device's records: gateway and name, each cut down to the characters that RFC 8428, 4.5.1 allows.
func SenMLBase(id, name string) string { return senMLName(id) + "/" + senMLName(name) + "/" }

func senMLName(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-:._", r)) {
			return r
		}
		return '_'
	}, s)
	if s == "" || strings.ContainsRune("-:._", rune(s[0])) {
		return "x" + s
	}
	return s
}

// AppendSenML adds the record as the entries of an RFC 8428 pack, separated by commas and without the brackets around, so that the
// entries of several records make one pack. units are those of measure, by value.
func (r Record) AppendSenML(dst []byte, base string, units map[string]string) []byte {
	entries := r.entries(units)
	first := &entries[0]
	first.BaseName, first.BaseTime = base, fmt.Appendf(nil, "%d.%03d", r.TS/1000, r.TS%1000)
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
