package kit

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Frame is a record of `up/data/<name>` as README.md describes it, decoded on its own terms: agent/wire is not used
// here, so that a mistake in it cannot hide.
type Frame struct {
	Epoch  string  `json:"epoch"`
	Seq    uint64  `json:"seq"`
	TS     int64   `json:"ts"` // Unix ms of the first byte
	Text   *string `json:"text"`
	Hex    *string `json:"hex"`
	Base64 *string `json:"base64"`
	Late   bool    `json:"late"`
	Gap    *Gap    `json:"gap"`

	At  time.Time `json:"-"` // when it came
	Dup bool      `json:"-"` // repeated by the broker towards the collector
}

// Gap says which numbers of the stream are lost; To 0 = the end is not known.
type Gap struct {
	From   uint64 `json:"from"`
	To     uint64 `json:"to"`
	Reason string `json:"reason"`
	Epoch  string `json:"epoch"`
}

// Bytes are the frame's own bytes.
func (f Frame) Bytes() ([]byte, error) {
	switch {
	case f.Base64 != nil:
		return base64.StdEncoding.DecodeString(*f.Base64)
	case f.Hex != nil:
		return hex.DecodeString(*f.Hex)
	case f.Text != nil:
		return []byte(*f.Text), nil
	}
	return nil, fmt.Errorf("frame %s/%d has no text, hex or base64", f.Epoch, f.Seq)
}

// Decode reads one arrival: an object, an array of them (a batch), gzipped when the topic ends with /gz.
func (a Arrival) Decode() ([]Frame, error) {
	b, err := a.unzipped()
	if err != nil {
		return nil, fmt.Errorf("gunzip %s: %w", a.Topic, err)
	}
	var frames []Frame
	if !bytes.HasPrefix(b, []byte("[")) {
		b = append(append([]byte("["), b...), ']')
	}
	if err := json.Unmarshal(b, &frames); err != nil {
		return nil, fmt.Errorf("payload of %s: %w: %.200q", a.Topic, err, b)
	}
	for i := range frames {
		frames[i].At, frames[i].Dup = a.At, a.Dup
	}
	return frames, nil
}

// unzipped is the payload, decompressed when the topic ends with /gz.
func (a Arrival) unzipped() ([]byte, error) {
	if !strings.HasSuffix(a.Topic, "/gz") {
		return a.Payload, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(a.Payload))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// tries tells whether it is a gateway's, to see whether the server delivers the topic: a reader passes over it.
func (a Arrival) tries() bool {
	b, err := a.unzipped()
	return err == nil && bytes.HasPrefix(b, []byte(`{"echo":"`))
}

// Key names a record for ever.
type Key struct {
	Epoch string
	Seq   uint64
}

// Tally sorts out arrivals of one stream: unique records in the order of their first arrival, repetitions, and what
// must never be.
type Tally struct {
	Records     []Frame     // first arrivals, gap records too
	Gaps        []Frame     // the gap records among them
	Repeats     []time.Time // repeated by the agent: the same (epoch, seq) again without the broker's dup mark
	Redelivered int         // repeated by the broker to the collector
	Conflicts   []string    // (epoch, seq) that came with two contents
	Holes       []string    // numbers missing inside an epoch, or out of order at their first arrival; see [course]
	Epochs      []string    // in order of appearance
}

// Count tallies arrivals, oldest first.
func Count(arrivals []Arrival) (*Tally, error) {
	t := &Tally{}
	seen := map[Key]string{}
	epochs := map[string]*course{}
	for _, a := range arrivals {
		frames, err := a.Decode()
		if err != nil {
			return nil, err
		}
		for _, f := range frames {
			t.add(f, seen, epochs)
		}
	}
	for _, epoch := range t.Epochs {
		for _, m := range epochs[epoch].missing {
			t.Holes = append(t.Holes, fmt.Sprintf("%s: %d to %d did not come", epoch, m[0], m[1]))
		}
	}
	return t, nil
}

// waited is how old a record is at least that comes after a later one without being late.
const waited = 2 * time.Second

// course is how the numbers of one epoch came. What waited through an outage goes beside what is read now: the numbers are two
// courses, each of which rises, and only what waited may come after a larger one.
type course struct {
	live, backlog uint64      // the largest of each
	missing       [][2]uint64 // below the largest, rising
}

// came enters a number; "" or what is wrong with its place.
func (c *course) came(f Frame) (wrong string) {
	if f.Seq > c.live {
		if f.Seq > c.live+1 {
			c.missing = append(c.missing, [2]uint64{c.live + 1, f.Seq - 1})
		}
		c.live = f.Seq
		return ""
	}
	for i, m := range c.missing {
		if f.Seq < m[0] || f.Seq > m[1] {
			continue
		}
		var rest [][2]uint64
		if f.Seq > m[0] {
			rest = append(rest, [2]uint64{m[0], f.Seq - 1})
		}
		if f.Seq < m[1] {
			rest = append(rest, [2]uint64{f.Seq + 1, m[1]})
		}
		c.missing = slices.Replace(c.missing, i, i+1, rest...)
		break
	}
	switch {
	case f.Seq < c.backlog:
		wrong = fmt.Sprintf("%d came after %d and %d", f.Seq, c.backlog, c.live)
	case !f.Late && f.At.Sub(time.UnixMilli(f.TS)) < waited:
		wrong = fmt.Sprintf("%d, which had not waited, came after %d", f.Seq, c.live)
	}
	c.backlog = max(c.backlog, f.Seq)
	return wrong
}

func (t *Tally) add(f Frame, seen map[Key]string, epochs map[string]*course) {
	k, content := Key{f.Epoch, f.Seq}, f.content()
	if old, ok := seen[k]; ok {
		switch {
		case old != content:
			t.Conflicts = append(t.Conflicts, fmt.Sprintf("%s/%d: %s, then %s", k.Epoch, k.Seq, old, content))
		case f.Dup:
			t.Redelivered++
		default:
			t.Repeats = append(t.Repeats, f.At)
		}
		return
	}
	seen[k] = content
	if epochs[f.Epoch] == nil {
		epochs[f.Epoch] = &course{}
		t.Epochs = append(t.Epochs, f.Epoch)
	}
	if wrong := epochs[f.Epoch].came(f); wrong != "" {
		t.Holes = append(t.Holes, f.Epoch+": "+wrong)
	}
	t.Records = append(t.Records, f)
	if f.Gap != nil {
		t.Gaps = append(t.Gaps, f)
	}
}

// content is what must be the same each time: the data, the gap and the time; "late" may differ between two sendings.
func (f Frame) content() string {
	if f.Gap != nil {
		return fmt.Sprintf("ts %d gap %+v", f.TS, *f.Gap)
	}
	b, err := f.Bytes()
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("ts %d %q", f.TS, b)
}

// Data returns the records that are not gaps.
func (t *Tally) Data() []Frame {
	var data []Frame
	for _, f := range t.Records {
		if f.Gap == nil {
			data = append(data, f)
		}
	}
	return data
}
