package statuspage

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/linkbeat/linkbeat/agent/printable"
)

// What is read of an answer: whoever has our port may say anything.
const (
	maxHeaders  = 16 << 10 // bytes, before the body
	maxDocument = 1 << 20  // bytes
	maxMembers  = 1 << 15  // of its objects and lists, as each takes many times its bytes in memory
)

// Fetch asks the agent that listens on addr (host:port) for its status.
func Fetch(ctx context.Context, addr string) (Status, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/status", nil)
	if err != nil {
		return Status{}, err
	}
	res, done, err := ask(ctx, addr, req)
	if err != nil {
		return Status{}, err
	}
	defer done()
	if res.StatusCode != http.StatusOK {
		return Status{}, fmt.Errorf("%s answers %s: is it linkbeat?", addr, res.Status)
	}
	var s Status
	if err := decode(res.Body, &s); err != nil {
		return Status{}, fmt.Errorf("%s does not answer with a status: %w", addr, err)
	}
	printable.Deep(&s, MaxText) // whoever answers may be no linkbeat
	return s, nil
}

// decode reads a status, which is JSON.
func decode(r io.Reader, s *Status) error {
	p, err := io.ReadAll(io.LimitReader(r, maxDocument+1))
	if err != nil {
		return err
	}
	if len(p) > maxDocument || bytes.Count(p, []byte(",")) > maxMembers {
		return fmt.Errorf("more than %d bytes or %d members: is it linkbeat?", maxDocument, maxMembers)
	}
	return json.Unmarshal(p, s)
}

// ask sends req on a connection of its own: never through a proxy, and without http.Transport, which weighs 300 KiB in the
// program. done ends the connection; the body is not closed, as that would read the rest of it.
func ask(ctx context.Context, addr string, req *http.Request) (res *http.Response, done func(), err error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }) // it ends every read and write
	done = func() {
		stop()
		_ = conn.Close()
	}
	req.Close = true
	from := &io.LimitedReader{R: conn, N: maxHeaders}
	if err = req.Write(conn); err == nil {
		res, err = http.ReadResponse(bufio.NewReader(from), req)
	}
	if err != nil && from.N == 0 {
		err = fmt.Errorf("more than %d KiB of headers: is it linkbeat?", maxHeaders>>10)
	}
	from.N = math.MaxInt64 // of the body each caller reads what it wants
	if err != nil {
		done()
		return nil, nil, err
	}
	return res, done, nil
}

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
	d := time.Duration(s * float64(time.Second))
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
