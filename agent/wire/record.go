package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/linkbeat/linkbeat/agent/printable"
)

// Encoding is how the bytes of a frame stand in JSON. It is fixed per device, never chosen by content.
type Encoding string

// The encodings of a device.
const (
	Text   Encoding = "text"   // a JSON string; what is not UTF-8 travels as base64 beside it
	Hex    Encoding = "hex"    // lower case, two digits a byte
	Base64 Encoding = "base64" // RFC 4648 section 4, padded
)

// Body is a run of bytes in one of three encodings. Exactly one is set, except that text with replaced characters stands
// beside the base64 of the original.
type Body struct {
	Text   *string `json:"text,omitempty"`
	Hex    *string `json:"hex,omitempty"`
	Base64 *string `json:"base64,omitempty"`
}

// NewBody encodes p. The second result is true when p should have been text and is not UTF-8.
func NewBody(p []byte, e Encoding) (Body, bool) {
	switch e {
	case Hex:
		s := hex.EncodeToString(p)
		return Body{Hex: &s}, false
	case Base64:
		s := base64.StdEncoding.EncodeToString(p)
		return Body{Base64: &s}, false
	}
	if utf8.Valid(p) {
		s := string(p)
		return Body{Text: &s}, false
	}
	text, original := string(bytes.ToValidUTF8(p, []byte("\uFFFD"))), base64.StdEncoding.EncodeToString(p)
	return Body{Text: &text, Base64: &original}, true
}

// Bytes returns what the body stands for. Base64 wins over text, which may hold replaced characters.
func (b Body) Bytes() ([]byte, error) {
	switch {
	case b.Base64 != nil:
		p, err := base64.StdEncoding.DecodeString(*b.Base64)
		if err != nil {
			return nil, fmt.Errorf("base64: %w", err)
		}
		return p, nil
	case b.Hex != nil:
		p, err := hex.DecodeString(*b.Hex)
		if err != nil {
			return nil, fmt.Errorf("hex: %w", err)
		}
		return p, nil
	case b.Text != nil:
		return []byte(*b.Text), nil
	}
	return nil, errors.New("no text, hex or base64")
}

// count returns how many encodings are set.
func (b Body) count() int {
	n := 0
	for _, p := range []*string{b.Text, b.Hex, b.Base64} {
		if p != nil {
			n++
		}
	}
	return n
}

// Gap marks numbers of a device that will never come.
type Gap struct {
	From   uint64 `json:"from"`            // the first number lost
	To     uint64 `json:"to"`              // the last one; 0 when the gateway cannot know (reason restart)
	Reason string `json:"reason"`          // full, age, corrupt, restart or poison
	Epoch  string `json:"epoch,omitempty"` // the epoch of those numbers, when it is not the record's own
}

// Record is one frame of a device, what a poll of a unit says, or a gap, as it stands under up/data/<name>.
type Record struct {
	Seq   uint64 `json:"seq"`   // number within (epoch, name), from 1, without holes
	TS    int64  `json:"ts"`    // Unix ms of the first byte of the frame
	Epoch string `json:"epoch"` // 8 hex digits
	Body
	Measured
	Gap      *Gap `json:"gap,omitempty"`
	Late     bool `json:"late,omitempty"`     // published more than 30 s after it was read
	Unsynced bool `json:"unsynced,omitempty"` // the clock was never set: ts is wrong
}

// Append adds the record's JSON to dst.
func (r Record) Append(dst []byte) []byte { return appendJSON(dst, r) }

// appendJSON marshals without HTML escapes: < > & cost six bytes each and mean nothing here.
func appendJSON(dst []byte, v any) []byte {
	buf := bytes.NewBuffer(dst)
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil { // only unsupported types fail, and this package has none
		panic(err)
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
}

// AppendBatch adds records, each the JSON of one, as a JSON array.
func AppendBatch(dst []byte, records ...[]byte) []byte {
	dst = append(dst, '[')
	for i, r := range records {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, r...)
	}
	return append(dst, ']')
}

// ParseRecords reads one record or a batch of them, up to the first that is bad. Every record must have an epoch, a seq, and
// bytes, values or a gap. What exceeds [MaxPayload], [MaxRecords] or [MaxMembers] is an error that wraps [ErrTooMuch]; the
// records before it are there.
func ParseRecords(p []byte) ([]Record, error) {
	if !isList(p) {
		var r Record
		if err := unmarshal(p, &r); err != nil {
			return nil, fmt.Errorf("record: %w", err)
		}
		if err := r.check(); err != nil {
			return nil, fmt.Errorf("record 0: %w", err)
		}
		return []Record{r}, nil
	}
	var records []Record
	err := eachOf(p, func(r *Record) error {
		if len(records) == MaxRecords {
			return fmt.Errorf("%w: at most %d records", ErrTooMuch, MaxRecords)
		}
		if err := r.check(); err != nil {
			return fmt.Errorf("record %d: %w", len(records), err)
		}
		records = append(records, *r)
		return nil
	})
	if errors.Is(err, ErrTooMuch) {
		return records, fmt.Errorf("batch: %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("batch: %w", err)
	}
	return records, nil
}

// ErrMalformed is wrapped by what is wrong with a record that is one of ours by its form.
var ErrMalformed = errors.New("malformed")

// checkWord keeps what is shown as it stands to letters and digits. Gateways write 8 hex digits and five reasons; later ones may
// write others.
func checkWord(what, s string) error {
	if s == "" || len(s) > maxWord || strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-')
	}) {
		return fmt.Errorf("%w: the %s %q is not a word of at most %d letters and digits", ErrMalformed, what, printable.Short(s,
			maxWord), maxWord)
	}
	return nil
}

func (r Record) check() error {
	if r.Epoch == "" || r.Seq == 0 {
		return errors.New("no epoch or no seq")
	}
	if err := checkWord("epoch", r.Epoch); err != nil {
		return err
	}
	if r.Gap != nil {
		if r.Gap.Epoch != "" {
			if err := checkWord("epoch of a gap", r.Gap.Epoch); err != nil {
				return err
			}
		}
		return checkWord("reason of a gap", r.Gap.Reason)
	}
	if !r.Measured.IsZero() {
		return r.Measured.check()
	}
	_, err := r.Bytes()
	return err
}
