package delivered

import (
	"net"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// limit is the silence at which the servers of these rows end a connection.
const limit = 2 * time.Second

// pingRows are those of point 8: probes are denied, and something ends what is silent.
func pingRows() []row {
	silent := func(change func(f *front)) func() place {
		return func() place {
			f := &front{idle: limit, refuse: func(h hello) bool { return strings.Contains(h.id, "-p") }}
			change(f)
			return place{front: f, devices: []device{{name: "meter", rate: 5, size: 60, stop: 10}}, doc: func(d kit.Doc) {
				d.Set("heartbeat", map[string]any{"learn": "fast", "interval": "3s", "min": "1s", "max": "4s",
					"probe_after": "0s", "canary": "off", "weak_max": "4s"}).Set("uplink.detect_within", "6s")
			}}
		}
	}
	r := row{point: 8, never: saysAnother, diag: notAsked, lasts: 20 * time.Second}
	all := []row{r, r, r}
	all[0].name = "probes denied, and a connection is closed at a silence"
	all[0].before = "closed for ever at the same silence, and `why` spoke of another client with the id"
	all[0].place = silent(func(*front) {})
	all[1].name, all[1].place = "probes denied, and a connection is reset at a silence", silent(func(f *front) {
		f.end = func(c *net.TCPConn) { _ = c.SetLinger(0); _ = c.Close() }
	})
	all[2].name = "probes denied, and a connection falls silent at a silence"
	all[2].place = silent(func(f *front) { f.hole = true })
	for i := range all {
		all[i].check = seldom
	}
	return all
}

// endsMost is how often an interval may end a session within an hour: it is not tried a third time.
const endsMost = 2

// seldom judges how often the same silence has ended the main link: what began it is not tried a third time.
func seldom(s *stand, _ count, t *kit.Table, name string) {
	t.AtMost(name+": sessions that ended at it", float64(s.p.front.ends.Load()), endsMost, "")
	st, err := s.agent.Status()
	if err != nil {
		t.Check(name+": status", err)
		return
	}
	t.AtMost(name+": beat afterwards", st.Heartbeat.IntervalS, limit.Seconds(), "s")
}
