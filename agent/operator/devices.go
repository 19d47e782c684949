package operator

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

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

// Devices returns the gateways that the broker knows of, by id, as soon as nothing new came for settle (if zero, 1 s).
func Devices(ctx context.Context, o Options, settle time.Duration) ([]Device, error) {
	if settle <= 0 {
		settle = defaultSettle
	}
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	c, err := connect(ctx, o, wire.Filter(o.Topics.State), wire.Filter(o.Topics.Info))
	if err != nil {
		return nil, err
	}
	defer c.close()
	known := map[string]Device{}
	for {
		quiet, cancel := context.WithTimeout(ctx, settle)
		m, _, ok := c.inbox.take(quiet)
		cancel()
		if !ok {
			break
		}
		note(known, o.Topics, m)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	devices := slices.Collect(maps.Values(known))
	slices.SortFunc(devices, func(a, b Device) int { return strings.Compare(a.ID, b.ID) })
	return devices, nil
}

// note books what one message says of a gateway. An empty payload is a deleted one [MQTT-3.3.1-10].
func note(known map[string]Device, t wire.Topics, m message) {
	if len(m.payload) == 0 {
		return
	}
	if found, ok := wire.Match(t.State, m.topic); ok {
		d := known[found["id"]]
		d.ID = found["id"]
		if s, err := wire.ParseState(m.payload); err == nil {
			d.State = &s
		}
		known[d.ID] = d
	}
	if found, ok := wire.Match(t.Info, m.topic); ok {
		d := known[found["id"]]
		d.ID = found["id"]
		if i, err := wire.ParseInfo(m.payload); err == nil {
			d.Info = &i
		}
		known[d.ID] = d
	}
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
	t := printable.NewTable(w)
	t.Row("DEVICE", "STATE", "CONNECTED SINCE", "VERSION", "SERVER", "INTERVAL", "PORTS")
	for _, d := range devices {
		t.Row(append([]string{d.ID}, d.columns(now)...)...)
	}
	return t.Flush()
}

func (d Device) columns(now time.Time) []string {
	c := []string{"unknown", "-", "-", "-", "-", "-"}
	if s := d.State; s != nil {
		since := time.UnixMilli(s.Since)
		c[0], c[1] = "offline", "was "+since.UTC().Format(time.DateTime)
		if s.Online {
			c[0], c[1] = "online", fmt.Sprintf("%s (%v)", since.UTC().Format(time.DateTime),
				max(now.Sub(since), 0).Round(time.Second))
		}
		c[2], c[3] = dash(s.Version), dash(s.Server)
	}
	if i := d.Info; i != nil {
		c[4] = (time.Duration(i.IntervalS * float64(time.Second))).Round(100 * time.Millisecond).String()
		c[5] = ports(i.Ports)
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
	return dash(strings.Join(list, ", "))
}

// dash is s; "-" for nothing.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
