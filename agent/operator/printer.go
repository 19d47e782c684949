package operator

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/linkbeat/linkbeat/agent/printable"
	"github.com/linkbeat/linkbeat/agent/wire"
)

// Format is how a Printer shows items.
type Format int

const (
	Text Format = iota // for people: time, gateway/device, number, bytes; control characters escaped
	JSON               // one object a line: the record with "device" and "name" before it
	Raw                // the bytes of frames alone, each with a newline; everything else goes to Notes
)

const stampLayout = "2006-01-02T15:04:05.000Z07:00"

// ErrEnough is returned by Print when Count frames were printed.
var ErrEnough = errors.New("enough frames")

// Printer writes items; its Print is made for Tail. Not safe for concurrent use.
type Printer struct {
	Out    io.Writer
	Notes  io.Writer // for what is not data
	Format Format
	Count  int64 // ends with ErrEnough after so many frames; zero: never

	printed int64
}

// Print writes one item.
func (p *Printer) Print(it Item) error {
	if err := p.print(it); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if it.Raw != nil || it.Record != nil && it.Record.Gap == nil {
		if p.printed++; p.Count > 0 && p.printed >= p.Count {
			return ErrEnough
		}
	}
	return nil
}

func (p *Printer) print(it Item) (err error) {
	switch {
	case it.Trouble != "":
		err = printable.Fprintf(p.Notes, "! %s%s\n", source(it), it.Trouble)
	case p.Format == JSON:
		err = p.json(it)
	case p.Format == Raw && it.bytes() != nil:
		err = p.raw(it.bytes())
	case p.Format == Raw:
		err = printable.Fprintf(p.Notes, "%s\n", line(it))
	default:
		err = printable.Fprintf(p.Out, "%s\n", line(it))
	}
	return err
}

// raw writes a frame and its newline, at once if it is not long.
func (p *Printer) raw(frame []byte) error {
	end := []byte{'\n'}
	if len(frame) <= longestShown {
		frame, end = append(frame, end...), nil
	}
	if _, err := p.Out.Write(frame); err != nil || end == nil {
		return err
	}
	_, err := p.Out.Write(end)
	return err
}

// bytes returns what a device sent; nil for what is not a frame.
func (it Item) bytes() []byte {
	if it.Record == nil || it.Record.Gap != nil {
		return it.Raw
	}
	b, err := it.Record.Bytes() // they were read once already, by ParseRecords
	if !it.Record.Measured.IsZero() {
		return it.Record.Measured.Append(nil)
	}
	if err != nil || b == nil {
		return []byte{}
	}
	return b
}

// origin stands at the beginning of each JSON object.
type origin struct {
	Device string `json:"device"`
	Name   string `json:"name"`
}

func (p *Printer) json(it Item) error {
	from := origin{it.Device, it.Name}
	switch {
	case it.Record != nil:
		return printable.Encode(p.Out, struct {
			origin
			*wire.Record
		}{from, it.Record}, false)
	case it.Hole != nil:
		return printable.Encode(p.Out, struct {
			origin
			Hole *Hole `json:"hole"`
		}{from, it.Hole}, false)
	}
	body, _ := wire.NewBody(it.Raw, wire.Base64)
	return printable.Encode(p.Out, struct {
		origin
		wire.Body
	}{from, body}, false)
}

// line is one item for people.
func line(it Item) string {
	var b strings.Builder
	switch {
	case it.Hole != nil:
		fmt.Fprintf(&b, "! %smissing: %s of epoch %s did not arrive", source(it), span(it.Hole.From, it.Hole.To), it.Hole.Epoch)
	case it.Record == nil:
		fmt.Fprintf(&b, "%-24s %s%s", "-", source(it), clipped(it.Raw))
	case it.Record.Gap != nil:
		g := it.Record.Gap
		fmt.Fprintf(&b, "! %slost on the gateway: %s (%s)", source(it), span(g.From, g.To), g.Reason)
		if g.Epoch != "" && g.Epoch != it.Record.Epoch {
			fmt.Fprintf(&b, " of epoch %s", g.Epoch)
		}
	default:
		r := it.Record
		fmt.Fprintf(&b, "%s %s#%d %s", time.UnixMilli(r.TS).UTC().Format(stampLayout), source(it), r.Seq, clipped(it.bytes()))
		if r.Late {
			b.WriteString(" (late)")
		}
		if r.Unsynced {
			b.WriteString(" (clock not set)")
		}
	}
	return b.String()
}

func source(it Item) string {
	if it.Device == "" {
		return ""
	}
	return it.Device + "/" + it.Name + " "
}

func span(from, to uint64) string {
	switch {
	case to == from:
		return fmt.Sprint("number ", from)
	case to < from:
		return fmt.Sprintf("numbers from %d on, an unknown count", from)
	}
	return fmt.Sprintf("numbers %d to %d", from, to)
}

// longestShown is how many bytes of a frame people are shown.
const longestShown = 256 << 10

// clipped is readable for what may be long: escaped, a frame takes four times its bytes.
func clipped(p []byte) string {
	if len(p) <= longestShown {
		return readable(p)
	}
	n := longestShown
	for n > longestShown-utf8.UTFMax && !utf8.RuneStart(p[n]) {
		n--
	}
	return fmt.Sprintf("%s … and %d bytes more: --raw has all", readable(p[:n]), len(p)-n)
}

// readable is text as it is, with what is not shown as itself escaped, and anything else as hex digits.
func readable(p []byte) string {
	if !utf8.Valid(p) {
		return hex.EncodeToString(p)
	}
	return printable.Line(string(p))
}
