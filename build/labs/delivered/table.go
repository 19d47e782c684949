package delivered

import (
	"slices"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// Sentences, or what is the same in each of a kind.
const (
	saysDenied  = "the server's access rules refuse"
	saysTooBig  = "in quarantine; raise"
	saysMissing = "does not acknowledge some publishes"
	saysLeftOut = "ends sessions that ask for"
	saysAnother = "another client"
)

// rows are the situations, point by point.
func rows() []row {
	return slices.Concat(deniedRows(), sizeRows(), missingRows(), termsRows(), pingRows())
}

// sentences are all that `why` says in them: a healthy gateway says none.
func sentences() (all []string) {
	for _, r := range append(rows(), row{says: saysAnother}) {
		if r.says != "" && !slices.Contains(all, r.says) {
			all = append(all, r.says)
		}
	}
	return all
}

// allow gives the gateway all that it needs, and says so to the agent.
func allow(s *stand) error {
	if s.p.front != nil {
		s.p.front.mended.Store(true)
	}
	if s.p.acl != "" {
		if err := s.broker.Rules(s.rules("topic readwrite #\n\npattern readwrite #\n")); err != nil {
			return err
		}
	}
	for range 4 { // nothing tells when mosquitto goes by the new ones
		if err := s.reconnect(); err != nil {
			return err
		}
		if s.wait(3*time.Second, func() bool {
			st, err := s.agent.Status()
			return err == nil && !strings.Contains(st.Why, saysDenied)
		}) {
			return nil
		}
	}
	return nil // what is held still is missing in the books
}

func deniedRows() []row {
	pump := device{name: "pump", rate: 5, size: 60}
	return []row{
		{point: 1, name: "rules by %u, and a user that is not the gateway's id", says: saysDenied, held: true, mend: allow,
			diag: 1, before: "438 of 438 frames were acknowledged and lost in 14 minutes, although the agent knew after 78 s; " +
				"the log line was info, and `why` began with something else",
			place: func() place { return place{user: "meters", acl: "pattern readwrite lb/%u/#\n"} }},
		{point: 1, name: "one of two devices is denied", says: saysDenied, held: true, mend: allow, diag: 1,
			free: []string{"meter"}, place: func() place {
				return place{acl: "user {id}\ntopic readwrite lb/{id}/#\ntopic deny lb/{id}/up/data/pump\n",
					devices: []device{meter(), pump}}
			}},
		{point: 1, name: "a server that closes at the publish of one device, as RabbitMQ and AWS do", says: saysDenied,
			held: true, mend: allow, diag: 1, place: func() place {
				return place{devices: []device{meter(), pump}, front: &front{publish: func(_ hello, p pub) deed {
					if strings.HasSuffix(p.topic, "/up/data/pump") {
						return hangUp
					}
					return pass
				}}}
			}},
	}
}

func sizeRows() []row {
	big := device{name: "camera", rate: 2, size: 1500, stop: 24}
	larger := func(limit int, old bool) *front {
		return &front{old: old, publish: func(_ hello, p pub) deed {
			if p.size > limit {
				return swallow
			}
			return pass
		}}
	}
	return []row{
		{point: 2, name: "mosquitto with message_size_limit 1000, frames of 1.5 kB", says: saysTooBig, held: true, diag: 1,
			before: "24 of 24 frames of 1.5 kB were acknowledged and thrown away, `why` was empty, diag green",
			free:   []string{"meter"}, tooBig: "camera",
			place: func() place {
				return place{conf: "message_size_limit 1000\n", devices: []device{meter(), big}}
			}},
		{point: 2, name: "batches above message_size_limit 1000", diag: notAsked, place: func() place {
			return place{conf: "message_size_limit 1000\n", devices: []device{{name: "meter", rate: 20, size: 60}},
				doc: func(d kit.Doc) {
					d.Set("serial.meter.batch", map[string]any{"frames": 50, "delay": "3s", "bytes": "32KiB"})
				}}
		}},
		{point: 2, name: "a server without MQTT 5 that throws away what is above 1 kB", says: saysTooBig, held: true, diag: 1,
			free: []string{"meter"}, tooBig: "camera", place: func() place {
				return place{front: larger(1000, true), devices: []device{meter(), big}}
			}},
	}
}

func missingRows() []row {
	oneIn := func(n int, d deed) func() place {
		return func() place {
			count := map[string]int{}
			f := &front{}
			f.publish = func(h hello, p pub) deed {
				if !strings.Contains(p.topic, "/up/data/") || strings.Contains(h.id, "-p") {
					return pass
				}
				f.mu.Lock()
				defer f.mu.Unlock()
				if count[h.id]++; count[h.id]%n == n-1 {
					return d
				}
				return pass
			}
			return place{front: f, doc: func(d kit.Doc) { d.Set("uplink.detect_within", "10s") }}
		}
	}
	const before = "noticed after 75 to 94 s with detect_within: 10s, then 31 duplicates"
	r := row{point: 4, says: saysMissing, within: 10 * time.Second, diag: 1, mend: allow, check: flows, lasts: 15 * time.Second}
	all := []row{r, r, r}
	all[0].name, all[0].before, all[0].place = "1 publish in 20 is delivered, and not acknowledged", before, oneIn(20, mute)
	all[1].name, all[1].place = "1 publish in 20 is forgotten", oneIn(20, forget)
	all[2].name, all[2].free, all[2].check = "one topic is never acknowledged", []string{"meter"}, nil
	all[2].place = func() place {
		return place{devices: []device{meter(), {name: "pump", rate: 1, size: 60}},
			doc: func(d kit.Doc) { d.Set("uplink.detect_within", "10s") },
			front: &front{publish: func(_ hello, p pub) deed {
				if strings.HasSuffix(p.topic, "/up/data/pump") {
					return forget
				}
				return pass
			}}}
	}
	return all
}

// leastRate is how many of 5 frames a second arrive while one in twenty is not acknowledged.
const leastRate = 4.5

// flows judges what arrived while it lasted: how fast, and how much came again.
func flows(s *stand, c count, t *kit.Table, name string) {
	wrote := s.players["meter"].Wrote()
	if len(wrote) < 2 {
		return
	}
	end, n := wrote[len(wrote)-1], 0
	for _, at := range c.at {
		if !at.After(end) {
			n++
		}
	}
	lasted := end.Sub(c.first)
	t.NoSlower(name+": frames that arrived meanwhile", float64(n)/max(lasted.Seconds(), 1), leastRate, "a second")
	t.AtMost(name+": frames that came twice, of so many that were missing", float64(c.twice), float64(s.p.front.spoilt.Load()),
		"")
}

func termsRows() []row {
	const resolved = 7 * time.Minute
	r := row{point: 5, says: saysLeftOut, held: true, diag: 1, slow: resolved,
		before: "each session was closed after some milliseconds: nothing was delivered, for ever"}
	closesAt := func(name string, connect func(h hello) bool, publish func(hello, pub) deed) row {
		q := r
		q.name = name
		q.place = func() place { return place{front: &front{connect: connect, publish: publish}} }
		return q
	}
	retained := func(_ hello, p pub) deed {
		if p.retain {
			return hangUp
		}
		return pass
	}
	own := func(q row) row {
		q.before = ""
		return q
	}
	mosquitto := r
	mosquitto.name = "mosquitto with retain_available false"
	mosquitto.place = func() place { return place{conf: "retain_available false\n"} }
	lower := own(r)
	lower.name, lower.diag = "a server that refuses a keepalive above 300 s", notAsked // once it is left out nothing is missing
	asks := func(most time.Duration) func() place {                                    // an unknown path is asked for the ceiling
		return func() place {
			return place{front: &front{connect: func(h hello) bool { return h.keepalive <= most }},
				doc: func(d kit.Doc) { d.Set("heartbeat", map[string]any{"learn": "thrifty"}) }}
		}
	}
	lower.place = asks(300 * time.Second)
	long := closesAt("a server that closes at a keepalive over 1160 s", nil, nil)
	long.diag, long.place = notAsked, asks(1160*time.Second)
	return []row{
		mosquitto,
		closesAt("a server that closes at a retained publish", nil, retained),
		closesAt("a server that closes at a retained will", func(h hello) bool { return !h.willRetain }, nil),
		long,
		own(closesAt("a server that closes at any will", func(h hello) bool { return !h.will }, nil)),
		lower,
	}
}
