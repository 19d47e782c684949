package estimate

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/agent/printable"
	"github.com/linkbeat/linkbeat/config"
)

// Render writes the table for people, and below it what it assumes.
func (e Estimate) Render(out io.Writer) error {
	var b strings.Builder
	budget := "of uplink.budget, " + size(e.Budget)
	width := len(budget)
	for _, r := range e.Rows {
		width = max(width, len(r.Cause))
	}
	line := func(name string, figures ...string) {
		fmt.Fprintf(&b, "%-*s", width, name)
		for _, f := range figures {
			fmt.Fprintf(&b, "  %11s", f)
		}
		b.WriteByte('\n')
	}
	line("bytes a month", "low", "expected", "high")
	for _, r := range slices.Concat(e.Rows, []Row{{"total", e.Total}}) {
		line(r.Cause, size(r.Low), size(r.Expected), size(r.High))
	}
	if e.Budget > 0 {
		part := func(n int64) string { return fmt.Sprintf("%.0f %%", 100*e.Share(n)) }
		line(budget, part(e.Total.Low), part(e.Total.Expected), part(e.Total.High))
	}
	b.WriteString("\nThis assumes:\n- " + strings.Join(e.Assumptions, "\n- ") + "\n")
	_, err := io.WriteString(out, printable.Text(b.String()))
	return err
}

// size is a count of bytes as people read it, in binary units.
func size(n int64) string {
	switch {
	case n == 0:
		return "-"
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.2f MiB", float64(n)/(1<<20))
}

// assumptions are sentences of what is behind the figures.
func assumptions(d *config.Document, a Assumptions, low, expected, high scenario) []string {
	n := newNet(d)
	all := []string{"a month of 30 days, and the first server"}
	if len(d.Serial) > 0 {
		all = append(all, fmt.Sprintf("%g frames of %d bytes a day from each serial device, "+
			"random digits or bytes (--frames-per-day, --frame-bytes)", a.FramesPerDay, a.FrameBytes))
	}
	for _, s := range d.Serial {
		if s.IsBus() {
			all = append(all, fmt.Sprintf("each poll of a Modbus unit is published, with report: change %g of 100", 100*changes))
			break
		}
	}
	all = append(all, beat(d, a, low, expected, high), "whatever is sent puts the next ping off; messages come at random times")
	session := fmt.Sprintf("%g lost connection a day", a.Reconnects)
	if high.redials > 0 {
		session += ", and a planned re-dial after it that adapts the keepalive (low: none)"
	}
	if life := d.Uplink.MaxSession; life > 0 {
		session += fmt.Sprintf(", and one every %s for max_session", life)
	}
	all = append(all, session)
	if n.tls {
		text := fmt.Sprintf("a TLS handshake of %d bytes, %d when the session is resumed, "+
			"as it is for planned re-dials and probes", tlsFull, tlsResumed)
		if n.cert {
			text += fmt.Sprintf("; %d more for our certificate", tlsClientCert)
		}
		all = append(all, text)
	}
	headers := fmt.Sprintf("headers: %d bytes for each TCP segment, and a segment without data for each with data", segmentHeader)
	if n.tls {
		headers += fmt.Sprintf("; %d for each TLS record", recordHeader)
	}
	if n.ws {
		headers += fmt.Sprintf("; %d for each WebSocket frame", frameHeader)
	}
	all = append(all, headers, "nothing is sent twice: a bad link costs more")
	return append(all, rest(d, a, high)...)
}

func beat(d *config.Document, a Assumptions, low, expected, high scenario) string {
	switch {
	case d.Heartbeat.Learn == "off":
		return fmt.Sprintf("a beat every %s: heartbeat.learn is off", short(expected.interval))
	case a.Interval > 0:
		return fmt.Sprintf("a beat every %s will be learnt (--interval)", short(expected.interval))
	}
	return fmt.Sprintf("a beat every %s (low), %s (high) or between them, %s; what linkbeat probe finds can be given with "+
		"--interval", short(low.interval), short(high.interval), short(expected.interval))
}

// rest says what is assumed of the parts that a document may not have.
func rest(d *config.Document, a Assumptions, high scenario) (all []string) {
	if (packets{d: d}).takesCommands() {
		all = append(all, fmt.Sprintf("%g commands a day", a.Commands))
	}
	if d.Stats.Every > 0 || d.Heartbeat.Report > 0 {
		all = append(all, fmt.Sprintf("stats of %d bytes", statsBytes+statsDevice*len(d.Serial)+factBytes*len(d.Device.Facts)))
	}
	if d.Log.Ship != "off" {
		all = append(all, fmt.Sprintf("logs: nothing (low), a tenth of log.ship_budget, all of it (high): %s a day",
			d.Log.ShipBudget))
	}
	if high.tests > 0 {
		all = append(all, fmt.Sprintf("probes: %d tests after each lost connection (low), %d, "+
			"all of heartbeat.probe_budget (high)", knownTests, unknownTests))
	}
	if high.canary > 1 {
		all = append(all, fmt.Sprintf("a canary at every %gth beat, beside the probe budget", high.canary))
	}
	return all
}

// short is a span without the zeros that Go adds.
func short(d time.Duration) string { return config.Duration(d).String() }
