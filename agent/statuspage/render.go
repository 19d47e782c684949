package statuspage

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/linkbeat/linkbeat/agent/printable"
)

// Render writes s for people.
func Render(out io.Writer, s Status, now time.Time) error {
	w := printable.NewTable(out)
	row := func(name, format string, args ...any) { w.Row(name, fmt.Sprintf(format, args...)) }
	row("gateway", "%s, linkbeat %s, running for %s", s.ID, s.Version, ago(s.StartedAt, now))
	row("uplink", "%s for %s, %s", s.Uplink.State, ago(s.Uplink.Since, now), orDash(s.Uplink.Server))
	row("", "%d drops, %d planned re-dials, round trip %s, %d in flight", s.Uplink.Drops, s.Uplink.Redials,
		seconds(s.Uplink.RTTS), s.Uplink.InFlight)
	row("heartbeat", "every %s, %d pings, a dead link is noticed within %s",
		seconds(s.Heartbeat.IntervalS), s.Heartbeat.Pings, seconds(s.Uplink.WorstDetectS))
	for _, line := range learnt(s.Heartbeat) {
		row("", "%s", line)
	}
	row("spool", "%d waiting (%s, oldest %s), %d accepted, %d acknowledged, %d dropped, %s written to flash", s.Spool.Waiting,
		size(s.Spool.Bytes), seconds(s.Spool.OldestS), s.Spool.Accepted, s.Spool.Acked, s.Spool.Evicted+s.Spool.Poison,
		size(s.Spool.WrittenBytes))
	for _, name := range slices.Sorted(maps.Keys(s.Serial)) {
		for i, line := range s.Serial[name].lines(now) {
			row([]string{"serial " + name, ""}[min(i, 1)], "%s", line)
		}
	}
	if c := s.Commands; c.Received > 0 {
		row("commands", "%d received, %d done, %d failed, %d refused, %d of them not answered", c.Received, c.Done, c.Failed,
			c.Refused+c.Overflowed, c.Unanswered)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Facts)) {
		row("fact "+name, "%s", s.Facts[name])
	}
	if m := s.Month; m.Since != "" {
		row("month", "%s on the wire since %s%s", size(m.Bytes), m.Since, ofBudget(m))
		for _, name := range slices.Sorted(maps.Keys(m.Interfaces)) {
			row("", "%s by %s", size(m.Interfaces[name].Sum()), name)
		}
	}
	if q := s.Quarantine; q.Records > 0 {
		row("quarantine", "%d records could not be published: quarantine.ndjson in the state directory", q.Records)
	}
	row("traffic", "%s data, %s commands, %s refused, %s pings, %s handshakes", size(s.Bytes.Data), size(s.Bytes.Cmd),
		size(s.Bytes.Refused), size(s.Bytes.Ping), size(s.Bytes.Handshake))
	row("", "%s probes, %s TLS and WebSocket, %s headers and what was sent again", size(s.Bytes.Probe), size(s.Bytes.Overhead),
		size(s.Bytes.Headers))
	row("why", "%s", orText(s.Why, "all is well"))
	return w.Flush()
}

// lines are what is shown of a device.
func (d Serial) lines(now time.Time) (all []string) {
	say := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	say("%s %s for %s, %d frames, %s read, %d bytes bad", orDash(d.Port), d.State, ago(d.Since, now), d.Accepted,
		size(d.Read), d.Bad)
	if e := d.LineErrors; e.Sum() > 0 {
		say("errors on the line: %d framing, %d overrun, %d parity, %d break, %d buffer", e.Framing, e.Overrun, e.Parity,
			e.Break, e.Buffer)
	}
	for _, name := range slices.Sorted(maps.Keys(d.Units)) {
		u := d.Units[name]
		say("unit %s %s for %s, %d polls, %d timeouts, %d bad answers, %d exceptions", name, u.State, ago(u.Since, now), u.Polls,
			u.Timeouts, u.BadAnswers, u.Exceptions)
		if u.Why != "" {
			say("unit %s: %s", name, u.Why)
		}
	}
	if d.Console {
		say("a remote console has it: commands are answered busy")
	}
	if d.Why != "" {
		say("%s", d.Why)
	}
	return all
}

func ofBudget(m Month) string {
	if m.Budget <= 0 {
		return ""
	}
	return fmt.Sprintf(", %.0f %% of the budget of %s", 100*float64(m.Bytes)/float64(m.Budget), size(m.Budget))
}

func ago(ms int64, now time.Time) string {
	if ms == 0 {
		return "-"
	}
	return now.Sub(time.UnixMilli(ms)).Round(time.Second).String()
}

func seconds(s float64) string {
	d := time.Duration(min(max(s, -1e9), 1e9) * float64(time.Second)) // of a page that anybody may have written
	if d > 0 && d < time.Second {
		return d.Round(100 * time.Microsecond).String()
	}
	return d.Round(100 * time.Millisecond).String()
}

// size is a count of bytes as people read it, in binary units.
func size(n int64) string {
	switch {
	case n < 10<<10:
		return fmt.Sprintf("%d B", n)
	case n < 10<<20:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}

func orDash(s string) string { return orText(s, "-") }

func orText(s, text string) string {
	if s == "" {
		return text
	}
	return s
}
