package pump

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linkbeat/linkbeat/agent/spool"
	"github.com/linkbeat/linkbeat/transport/transporttest"
)

// A broker that was away, and that never acknowledges one publish in twenty, while another topic is held: what is read now is
// there at once beside the backlog, over the re-dials too, nothing is lost, and nothing comes again but what was missing or in
// flight when the broker went.
func TestABacklogOfWhatIsNotAcknowledged(t *testing.T) {
	for name, c := range map[string]struct {
		answer transporttest.Answer
		away   time.Duration
		held   bool // another topic is held meanwhile
	}{
		"delivered, 40 s":          {transporttest.Mute, 40 * time.Second, false},
		"forgotten, 3 min":         {transporttest.Drop, 3 * time.Minute, false},
		"delivered, 2 min, a hold": {transporttest.Mute, 2 * time.Minute, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				data := diskSpool(t, t.TempDir(), spool.Options{WriteAfter: 5 * time.Second, Sync: time.Second})
				defer data.Close()
				var got arrivals
				h := newHolds()
				hooks, missing := unacked(c.answer, func(n int, _ transporttest.Message) bool { return n%20 == 7 })
				answer := hooks.OnPublish
				hooks.OnPublish = func(client string, m transporttest.Message) transporttest.Answer {
					is := answer(client, m)
					if is != transporttest.Drop {
						got.take(client, m)
					}
					return is
				}
				r := newPumpRigOver(t, data, hooks, nil, pacedAt(0, 0.5), func(p *Pump) { p.holds = h })
				defer r.stop()
				<-r.link.Ready()
				h.set("up/odd", c.held)
				stop := r.read(t, 50*time.Millisecond, "meter", "odd")
				time.Sleep(10 * time.Second)
				r.away(t, c.away)
				up := time.Now()
				time.Sleep(time.Minute)
				h.set("up/odd", false) // what was held goes beside the backlog
				time.Sleep(3 * time.Minute)
				n := stop()
				r.waitEmpty(t)
				again := 0
				var live []time.Duration
				for _, d := range []string{"meter", "odd"} {
					came := map[string]int{}
					for _, a := range slices.Concat(got.of("up/"+d, false), got.of("up/"+d, true)) {
						if a.Gap != nil {
							t.Fatalf("%+v", a)
						}
						if came[*a.Text]++; came[*a.Text] > 1 {
							again++
						} else if d == "meter" && a.TS >= up.UnixMilli() {
							live = append(live, a.after())
						}
					}
					for i := range n {
						if came[fmt.Sprintf("%s %d", d, i)] == 0 {
							t.Fatalf("%s %d did not come", d, i)
						}
					}
				}
				if most := int(missing.Load()) + testWindow; again > most {
					t.Errorf("%d came again, %d missing", again, missing.Load())
				}
				first := live[0]
				slices.Sort(live)
				if most := live[len(live)*90/100]; first > time.Second || most > 2*time.Second { // the others were missing
					t.Errorf("first after %v, of %d live ones 90 %% within %v", first, len(live), most)
				}
				if s := data.Status(); s.Accepted != s.Acked || s.Poison != 0 {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}
