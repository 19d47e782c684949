package statuspage

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// metric is one family in the Prometheus text format: name, type, help, and its samples.
type metric struct {
	name, kind, help string
	samples          []sample
}

type sample struct {
	labels string // with braces; empty: none
	value  float64
}

func one(name, kind, help string, value float64) metric {
	return metric{name, kind, help, []sample{{"", value}}}
}

// AppendMetrics adds s to dst in the Prometheus text exposition format 0.0.4.
func AppendMetrics(dst []byte, s Status) []byte {
	families := slices.Concat(uplinkMetrics(s), heartbeatMetrics(s.Heartbeat), spoolMetrics(s), serialMetrics(s), unitMetrics(s), commandMetrics(s.Commands))
	for _, m := range families {
		dst = fmt.Appendf(dst, "# HELP linkbeat_%s %s\n# TYPE linkbeat_%s %s\n", m.name, m.help, m.name, m.kind)
		for _, x := range m.samples {
			dst = fmt.Appendf(dst, "linkbeat_%s%s %s\n", m.name, x.labels, strconv.FormatFloat(x.value, 'g', -1, 64))
		}
	}
	return dst
}

func uplinkMetrics(s Status) []metric {
	up := 0.0
	if s.Uplink.State == "up" {
		up = 1
	}
	ok := 0.0
	if s.Why == "" {
		ok = 1
	}
	b := s.Bytes
	return []metric{
		{"info", "gauge", "What runs here.", []sample{{labels("id", s.ID, "version", s.Version, "server", s.Uplink.Server), 1}}},
		one("up", "gauge", "1 while the uplink is up.", up),
		one("ok", "gauge", "1 while nothing is wrong (why is empty).", ok),
		one("uplink_since_seconds", "gauge", "Unix time since when the uplink is in its state.", float64(s.Uplink.Since)/1000),
		one("uplink_drops_total", "counter", "Connections lost.", float64(s.Uplink.Drops)),
		one("uplink_redials_total", "counter", "Connections replaced on purpose.", float64(s.Uplink.Redials)),
		one("uplink_rtt_seconds", "gauge", "Smoothed round trip of the pings.", s.Uplink.RTTS),
		one("uplink_worst_detect_seconds", "gauge", "A dead idle link is noticed within this.", s.Uplink.WorstDetectS),
		one("uplink_keepalive_seconds", "gauge", "What CONNECT said.", s.Uplink.KeepaliveS),
		one("uplink_in_flight", "gauge", "Publishes not acknowledged yet.", float64(s.Uplink.InFlight)),
		{"bytes_total", "counter", "Bytes on the wire, both ways, by cause.", []sample{
			{labels("cause", "handshake"), float64(b.Handshake)}, {labels("cause", "ping"), float64(b.Ping)},
			{labels("cause", "keepalive"), float64(b.Keepalive)}, {labels("cause", "data"), float64(b.Data)},
			{labels("cause", "cmd"), float64(b.Cmd)}, {labels("cause", "log"), float64(b.Log)},
			{labels("cause", "config"), float64(b.Config)}, {labels("cause", "probe"), float64(b.Probe)},
			{labels("cause", "overhead"), float64(b.Overhead)}, {labels("cause", "headers"), float64(b.Headers)}}},
	}
}

// spoolMetrics has all spools in each family, told apart by a label.
func spoolMetrics(s Status) []metric {
	family := func(name, kind, help string, value func(Spool) float64) metric {
		return metric{"spool_" + name, kind, help, []sample{
			{labels("spool", "data"), value(s.Spool)}, {labels("spool", "high"), value(s.High)}, {labels("spool", "replies"), value(s.Replies)}}}
	}
	return []metric{
		family("accepted_total", "counter", "Records taken.", func(s Spool) float64 { return float64(s.Accepted) }),
		family("recovered_total", "counter", "Records found on disk at the start.", func(s Spool) float64 { return float64(s.Recovered) }),
		family("acked_total", "counter", "Records acknowledged.", func(s Spool) float64 { return float64(s.Acked) }),
		family("evicted_total", "counter", "Records dropped: full, too old or rotten.", func(s Spool) float64 { return float64(s.Evicted) }),
		family("poison_total", "counter", "Records that could never be published.", func(s Spool) float64 { return float64(s.Poison) }),
		family("waiting", "gauge", "Records waiting.", func(s Spool) float64 { return float64(s.Waiting) }),
		family("bytes", "gauge", "Bytes waiting.", func(s Spool) float64 { return float64(s.Bytes) }),
		family("oldest_seconds", "gauge", "Age of the oldest record.", func(s Spool) float64 { return s.OldestS }),
		family("written_bytes_total", "counter", "Bytes written to the flash.", func(s Spool) float64 { return float64(s.WrittenBytes) }),
	}
}

func serialMetrics(s Status) []metric {
	family := func(name, kind, help string, value func(Serial) float64) metric {
		m := metric{name: "serial_" + name, kind: kind, help: help}
		for _, device := range slices.Sorted(maps.Keys(s.Serial)) {
			m.samples = append(m.samples, sample{labels("device", device), value(s.Serial[device])})
		}
		return m
	}
	return []metric{
		family("open", "gauge", "1 while the port is open.", func(d Serial) float64 {
			if d.State == "open" {
				return 1
			}
			return 0
		}),
		family("read_bytes_total", "counter", "Bytes read.", func(d Serial) float64 { return float64(d.Read) }),
		family("in_frames_bytes_total", "counter", "Bytes that became frames.", func(d Serial) float64 { return float64(d.InFrames) }),
		family("delimiters_bytes_total", "counter", "Bytes that were delimiters.", func(d Serial) float64 { return float64(d.Delimiters) }),
		family("bad_bytes_total", "counter", "Bytes that belonged to no frame.", func(d Serial) float64 { return float64(d.Bad) }),
		family("bad_frames_total", "counter", "Stretches of such bytes.", func(d Serial) float64 { return float64(d.BadFrames) }),
		family("pending_bytes", "gauge", "Bytes of a frame that is not whole yet.", func(d Serial) float64 { return float64(d.Pending) }),
		family("framed_total", "counter", "Frames read.", func(d Serial) float64 { return float64(d.Framed) }),
		family("accepted_total", "counter", "Frames taken by the spool.", func(d Serial) float64 { return float64(d.Accepted) }),
		family("refused_total", "counter", "Frames refused by the spool.", func(d Serial) float64 { return float64(d.Refused) }),
		family("written_bytes_total", "counter", "Bytes written by commands.", func(d Serial) float64 { return float64(d.Written) }),
		family("opens_total", "counter", "Times the port was opened.", func(d Serial) float64 { return float64(d.Opens) }),
		family("line_errors_total", "counter", "Errors of framing, parity, overruns and breaks that the driver counted.", func(d Serial) float64 {
			return float64(d.LineErrors.Sum())
		}),
	}
}

// unitMetrics has the units of all Modbus buses.
func unitMetrics(s Status) []metric {
	family := func(name, kind, help string, value func(Unit) float64) metric {
		m := metric{name: "unit_" + name, kind: kind, help: help}
		for _, device := range slices.Sorted(maps.Keys(s.Serial)) {
			units := s.Serial[device].Units
			for _, unit := range slices.Sorted(maps.Keys(units)) {
				m.samples = append(m.samples, sample{labels("device", device, "unit", unit), value(units[unit])})
			}
		}
		return m
	}
	return []metric{
		family("live", "gauge", "1 while the unit answers.", func(u Unit) float64 {
			if u.State == "live" {
				return 1
			}
			return 0
		}),
		family("polls_total", "counter", "Polls of the unit.", func(u Unit) float64 { return float64(u.Polls) }),
		family("timeouts_total", "counter", "Reads and writes that it did not answer in time.", func(u Unit) float64 { return float64(u.Timeouts) }),
		family("bad_answers_total", "counter", "Answers that make no sense.", func(u Unit) float64 { return float64(u.BadAnswers) }),
		family("exceptions_total", "counter", "Exceptions that it answered.", func(u Unit) float64 { return float64(u.Exceptions) }),
	}
}

func commandMetrics(c Commands) []metric {
	return []metric{
		one("commands_received_total", "counter", "Commands that arrived.", float64(c.Received)),
		one("commands_done_total", "counter", "Commands written and drained.", float64(c.Done)),
		one("commands_failed_total", "counter", "Commands that failed at the device.", float64(c.Failed)),
		one("commands_refused_total", "counter", "Commands answered with an error, nothing written.", float64(c.Refused)),
		one("commands_overflowed_total", "counter", "Commands not even answered: too many at once.", float64(c.Overflowed)),
		one("commands_running", "gauge", "Commands on their way to a device.", float64(c.Running)),
	}
}

// labels makes {a="x",b="y"} out of names and values, escaped as the format wants.
func labels(pairs ...string) string {
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		sep := ","
		if i == 0 {
			sep = "{"
		}
		b.WriteString(sep + pairs[i] + `="` + escape.Replace(pairs[i+1]) + `"`)
	}
	return b.String() + "}"
}
