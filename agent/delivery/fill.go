package delivery

import (
	"fmt"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/transport"
)

const (
	fillLeast = 2 * time.Minute // of watching, before a rate is believed
	fillMost  = time.Hour       // of watching: then it begins anew from half of it
)

// fill watches how fast the spools fill while something is held. Pure.
type fill struct {
	from, middle sampled // zero: none yet
}

type sampled struct {
	at    time.Time
	bytes int64
}

func (f *fill) sample(b Backlog, now time.Time) {
	switch is := (sampled{now, b.Bytes}); {
	case f.from.at.IsZero() || b.Bytes < f.from.bytes: // what went out is no rate of what comes in
		f.from, f.middle = is, sampled{}
	case f.middle.at.IsZero() && now.Sub(f.from.at) >= fillMost/2:
		f.middle = is
	case now.Sub(f.from.at) >= fillMost:
		f.from, f.middle = f.middle, is
	}
}

// left is how long until there is no room; false: not known, or never.
func (f *fill) left(b Backlog, now time.Time) (time.Duration, bool) {
	passed, grown := now.Sub(f.from.at), b.Bytes-f.from.bytes
	if f.from.at.IsZero() || passed < fillLeast || grown <= 0 || b.Most <= 0 {
		return 0, false
	}
	return time.Duration(float64(max(0, b.Most-b.Bytes)) / float64(grown) * float64(passed)), true
}

// sentence says how much waits of what is denied, and when there is no room for more.
func (f *fill) sentence(denied []transport.EchoTopic, b Backlog, now time.Time) string {
	text := waits(denied, b.Records)
	if text == "" {
		return "what comes is held"
	}
	left, ok := f.left(b, now)
	switch {
	case b.Most > 0 && b.Bytes >= b.Most*95/100:
		return text + ", and the spool is full: what is oldest, or new, is lost"
	case !ok || left > 365*24*time.Hour:
		return text
	}
	return text + ", and the spool is full in about " + about(left)
}

// waits says how many records wait for topics, the first of which was named before; empty: none do.
func waits(topics []transport.EchoTopic, records map[string]int64) string {
	sum, some := int64(0), []string{}
	for _, t := range topics {
		n := records[t.Topic]
		if sum += n; n > 0 {
			some = append(some, fmt.Sprintf("%d for %s", n, t.Topic))
		}
	}
	text := fmt.Sprintf("%d records wait", sum)
	switch {
	case sum == 0:
		return ""
	case sum == 1:
		text = "1 record waits"
	}
	if sum == records[topics[0].Topic] {
		return text
	}
	if more := len(some) - namesMost; more > 0 {
		some = append(some[:namesMost], fmt.Sprintf("%d topics more", more))
	}
	return text + " (" + strings.Join(some, ", ") + ")"
}

// about is d as a person says it.
func about(d time.Duration) string {
	for _, unit := range []struct {
		of   time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		switch n := int64((d + unit.of/2) / unit.of); {
		case n > 1:
			return fmt.Sprintf("%d %ss", n, unit.name)
		case n == 1 && unit.of == time.Minute:
			return "1 minute"
		case n == 1 && d >= unit.of:
			return "1 " + unit.name
		}
	}
	return "less than a minute"
}
