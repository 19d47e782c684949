package probe

import (
	"fmt"
	"io"
	"time"

	"github.com/linkbeat/linkbeat/agent/printable"
)

// Render writes the result for people.
func (r Result) Render(out io.Writer) error {
	w := printable.NewTable(out)
	row := func(name, format string, args ...any) { w.Row(name, fmt.Sprintf(format, args...)) }
	row("server", "%s", r.Server)
	row("proven", "%s", orText(seconds(r.ProvenS), "nothing"))
	row("failing", "%s", orText(seconds(r.FailingS), r.noneFailed()))
	row("path", "%s", kindText(r.PathKind))
	row("evidence", "%s", r.Evidence)
	switch {
	case r.Settled:
		row("interval", "%s is safe on this path", seconds(r.IntervalS))
	case r.ProvenS > 0:
		row("interval", "%s is safe as far as is known", seconds(r.IntervalS))
	default:
		row("interval", "none is known to be safe")
	}
	if !r.Settled {
		row("not settled", "%s", r.Why)
	}
	row("tests", "%d silences on %d connections in %s, %d connections of the main session lost", r.Tests, r.Sessions,
		seconds(r.ElapsedS), r.Drops)
	row("cost", "%s on the wire for the probes; all sockets carried %s of MQTT and TLS", size(r.CostBytes), size(r.AllBytes))
	return w.Flush()
}

// noneFailed says what it means that no silence was seen to fail.
func (r Result) noneFailed() string {
	switch {
	case r.Settled:
		return "nothing up to the longest beat of interest, " + seconds(r.MaxS)
	case r.ProvenS > 0:
		return "not known: nothing up to " + seconds(r.ProvenS)
	}
	return "not known"
}

func kindText(kind string) string {
	switch kind {
	case "strict":
		return "strict: a ping notices that the path forgot the connection"
	case "loose":
		return "loose: pings are answered though nothing could have come in"
	}
	return kind
}

// seconds is a span for people; empty for none.
func seconds(s float64) string {
	if s <= 0 {
		return ""
	}
	return span(time.Duration(s * float64(time.Second)))
}

func span(d time.Duration) string {
	if d <= 0 {
		return "-"
	}
	return d.Round(100 * time.Millisecond).String()
}

// size is a count of bytes as people read it.
func size(n int64) string {
	if n < 10<<10 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}

func orText(s, text string) string {
	if s == "" {
		return text
	}
	return s
}
