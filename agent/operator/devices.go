package operator

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/linkbeat/linkbeat/agent/printable"
	"github.com/linkbeat/linkbeat/agent/wire"
)

// defaultSettle is how long nothing retained may come before the list counts as whole: a broker sends what it has kept right
// after the subscription is granted, and says nothing at the end of it.
const defaultSettle = time.Second

// Device is what is retained of one gateway.
type Device struct {
	ID    string      `json:"device"`
	State *wire.State `json:"state,omitempty"` // nil: nothing, or nothing readable, is retained
	Info  *wire.Info  `json:"info,omitempty"`
}

// Online reports whether the gateway's last word was that it is.
func (d Device) Online() bool { return d.State != nil && d.State.Online }

// Devices returns the gateways that the broker knows of, by id, as soon as nothing retained came for settle (if zero, 1 s),
// and at the latest after devicesMost or twice settle. What is left out then, or for its size, is said by Options.Notice.
func Devices(ctx context.Context, o Options, settle time.Duration) ([]Device, error) {
	if settle <= 0 {
		settle = defaultSettle
	}
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	o.maxPacket = listingMaxPacket
	c, err := connect(ctx, o, wire.Filter(o.Topics.State), wire.Filter(o.Topics.Info))
	if err != nil {
		return nil, err
	}
	defer c.close()
	l := newListing(o.Topics, settle, time.Now())
	for {
		quiet, cancel := context.WithDeadline(ctx, l.until())
		m, dropped, ok := c.inbox.take(quiet)
		cancel()
		if l.left += dropped; !ok {
			break
		}
		l.note(m, time.Now())
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for _, said := range l.notices(time.Now()) {
		o.Notice(said)
	}
	devices := slices.Collect(maps.Values(l.known))
	slices.SortFunc(devices, func(a, b Device) int { return strings.Compare(a.ID, b.ID) })
	return devices, nil
}

// PrintDevices writes a table for people, or one JSON object a line.
func PrintDevices(w io.Writer, devices []Device, asJSON bool, now time.Time) error {
	if asJSON {
		for _, d := range devices {
			if err := printable.Encode(w, d, false); err != nil {
				return err
			}
		}
		return nil
	}
	return printTable(w, devices, now)
}

// printTable writes rows as they are made, so that a table takes no memory beside what it is of: first it measures them.
func printTable(w io.Writer, devices []Device, now time.Time) error {
	head := []string{"DEVICE", "STATE", "CONNECTED SINCE", "VERSION", "SERVER", "INTERVAL", "PORTS"}
	width := make([]int, len(head)-1) // the last one ends the line
	measure := func(row []string) {
		for i := range width {
			width[i] = min(max(width[i], utf8.RuneCountInString(row[i])), widestColumn)
		}
	}
	measure(head)
	for _, d := range devices {
		measure(d.columns(now))
	}
	out := bufio.NewWriter(w)
	line := func(row []string) error {
		var b strings.Builder
		for i := range width {
			fmt.Fprintf(&b, "%-*s", width[i]+2, row[i])
		}
		return printable.Fprintf(out, "%s\n", b.String()+row[len(width)])
	}
	if err := line(head); err != nil {
		return err
	}
	for _, d := range devices {
		if err := line(d.columns(now)); err != nil {
			return err
		}
	}
	return out.Flush()
}

// What of a text stands in the table; --json has all.
const (
	longestCell  = 1 << 10 // bytes
	widestColumn = 80      // characters that one long text may push the others aside
	longestSaid  = 1e9     // seconds that anything lasts; time.Duration ends at nine times that
)

// columns are its row.
func (d Device) columns(now time.Time) []string {
	c := []string{cell(d.ID), "unknown", "-", "-", "-", "-", "-"}
	if s := d.State; s != nil {
		since := time.UnixMilli(s.Since)
		c[1], c[2] = "offline", "was "+since.UTC().Format(time.DateTime)
		if s.Online {
			c[1], c[2] = "online", fmt.Sprintf("%s (%v)", since.UTC().Format(time.DateTime),
				max(now.Sub(since), 0).Round(time.Second))
		}
		c[3], c[4] = cell(s.Version), cell(s.Server)
	}
	if i := d.Info; i != nil {
		c[5] = time.Duration(min(max(i.IntervalS, 0), longestSaid) * float64(time.Second)).Round(100 * time.Millisecond).String()
		c[6] = ports(i.Ports)
	}
	return c
}

// ports lists devices by name, with what is wrong with them.
func ports(all map[string]wire.Port) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if p := all[name]; p.State == "open" {
			list = append(list, name)
		} else {
			list = append(list, name+" ("+p.State+")")
		}
	}
	return cell(strings.Join(list, ", "))
}

// cell is the first kilobyte of s; "-" for nothing.
func cell(s string) string {
	if s == "" {
		return "-"
	}
	return printable.Short(s, longestCell)
}
