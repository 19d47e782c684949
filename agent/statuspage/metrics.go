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

// AppendMetrics adds s to dst in the Prometheus text exposition format 0.0.4.
func AppendMetrics(dst []byte, s Status) []byte {
	for _, m := range metricsOf(s) {
		dst = fmt.Appendf(dst, "# HELP linkbeat_%s %s\n# TYPE linkbeat_%s %s\n", m.name, m.help, m.name, m.kind)
		for _, x := range m.samples {
			dst = fmt.Appendf(dst, "linkbeat_%s%s %s\n", m.name, x.labels, strconv.FormatFloat(x.value, 'g', -1, 64))
		}
	}
	return dst
}

func metricsOf(s Status) []metric {
	h := s.Heartbeat
	var gateway table
	gateway.gauge("up", "1 while the uplink is up.", boolean(s.Uplink.State == "up"))
	gateway.gauge("ok", "1 while nothing is wrong (why is empty).", boolean(s.Why == ""))
	spools := []labelled{{labels("spool", "data"), s.Spool.fields()}, {labels("spool", "high"), s.High.fields()},
		{labels("spool", "replies"), s.Replies.fields()}}
	var devices, units []labelled
	for _, device := range slices.Sorted(maps.Keys(s.Serial)) {
		d := s.Serial[device]
		devices = append(devices, labelled{labels("device", device), d.fields()})
		for _, unit := range slices.Sorted(maps.Keys(d.Units)) {
			u := d.Units[unit]
			units = append(units, labelled{labels("device", device, "unit", unit), u.fields()})
		}
	}
	return slices.Concat(
		[]metric{info("info", "What runs here.", labels("id", s.ID, "version", s.Version, "server", s.Uplink.Server))},
		family("", gateway), family("uplink_", s.Uplink.fields()), []metric{bytesMetric(s.Bytes)},
		[]metric{info("heartbeat_info", "What is known of the path, and how.", labels("phase", h.Phase, "path", h.Path,
			"kind", h.PathKind, "evidence", h.Evidence))},
		family("heartbeat_", h.fields()), families("spool_", s.Spool.fields(), spools...),
		families("serial_", new(Serial).fields(), devices...), families("unit_", new(Unit).fields(), units...),
		family("commands_", s.Commands.fields()))
}

// info is a family whose labels say it all.
func info(name, help, labels string) metric {
	return metric{name, "gauge", help, []sample{{labels, 1}}}
}

func bytesMetric(b Bytes) metric {
	m := metric{name: "bytes_total", kind: "counter", help: "Bytes on the wire, both ways, by cause."}
	for _, c := range b.causes() {
		m.samples = append(m.samples, sample{labels("cause", c.name), float64(*c.bytes)})
	}
	return m
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
