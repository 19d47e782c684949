package learn

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/transport/heartbeat"
)

// share is what refused traffic may take of a budget of 3 MB a month.
const share = 3_000_000 / 20

// strange is what a stranger does to probe sessions.
type strange struct {
	every   time.Duration
	burst   int
	payload int
	raw     string // of a hostile server; "": a message on each probe topic
}

func (w *world) refused() int64 { return w.le.env.Dialer.Counter.Read().Refused }

// disturb does it for a while.
func (w *world) disturb(s strange, for_ time.Duration) {
	payload := bytes.Repeat([]byte("x"), s.payload)
	for start := time.Now(); time.Since(start) < for_; <-time.After(s.every) {
		w.change(func() {
			for topic, l := range w.listeners {
				if l.gone {
					continue
				}
				for range s.burst {
					if s.raw != "" {
						if w.passes(l, true) {
							_, _ = l.conn.Write([]byte(s.raw))
						}
					} else {
						w.deliver(topic, payload)
					}
				}
			}
		})
	}
}

// Whatever strangers send to probe sessions for a month takes no more than the share of what is refused, says what to do, is no
// evidence about the path, and learning goes on afterwards.
func TestStrangersOnProbeTopicsAreBounded(t *testing.T) {
	for name, s := range map[string]strange{
		"a flood of small messages": {every: 10 * time.Second, burst: 50, payload: 40},
		"a message a minute":        {every: time.Minute, burst: 1, payload: 100},
		"messages of 4 kB":          {every: 20 * time.Second, burst: 2, payload: 4000},
		"messages beyond the limit": {every: 20 * time.Second, burst: 2, payload: 60_000},
		"answers to no ping":        {every: 10 * time.Second, burst: 20, raw: "\xd0\x00"},
		"answers to no subscribe":   {every: 10 * time.Second, burst: 20, raw: "\x90\x03\x77\x77\x00"},
	} {
		for i, mode := range []heartbeat.Mode{heartbeat.Fast, heartbeat.Thrifty, heartbeat.Thrifty} {
			strict := i < 2
			t.Run(fmt.Sprint(name, ", ", mode, ", strict ", strict), func(t *testing.T) {
				inWorld(t, &world{limit: limit, strict: strict}, options(mode), func(w *world) {
					told := 0
					w.le.env.Foreign = func(string) { told++ }
					w.up("first", false)
					was := w.settled(2 * time.Hour)
					opened := w.count(&w.opened)
					again := w.up("second", false)
					w.sleep(time.Minute)
					w.disturb(s, 30*24*time.Hour)
					_, why := w.le.Status()
					if want := "others publish to probe/"; s.raw == "" && !strings.Contains(why, want) ||
						s.raw != "" && !strings.Contains(why, "that nobody asked for") {
						t.Errorf("why is %q", why)
					}
					if n := w.refused(); n > share || n == 0 {
						t.Errorf("%d bytes are booked as refused", n)
					}
					if n := w.count(&w.opened) - opened; n > 60*12 || told > 45 || told == 0 {
						t.Errorf("%d sessions were opened, %d times told", n, told)
					}
					if st := w.status(); st.Proven > limit || st.Shrinks != 0 ||
						st.Failing != 0 && st.Failing < limit-time.Second {
						t.Errorf("evidence: %+v", st)
					}
					for _, d := range again.told() {
						if d < 20*time.Second || d > limit {
							t.Errorf("a beat of %v", d)
						}
					}
					w.sleep(24*time.Hour + time.Minute)
					w.why("")
					if st := w.settled(24 * time.Hour); st.Proven < was.Proven*9/10 || st.Proven > limit {
						t.Errorf("afterwards: %+v, before: %+v", st, was)
					}
				})
			})
		}
	}
}

// A little noise costs a silence now and then, and nothing else.
func TestALittleNoiseOnProbeTopics(t *testing.T) {
	for _, mode := range []heartbeat.Mode{heartbeat.Fast, heartbeat.Thrifty} {
		t.Run(fmt.Sprint(mode), func(t *testing.T) {
			inWorld(t, &world{limit: limit}, options(mode), func(w *world) {
				w.up("first", false)
				for range 12 {
					w.disturb(strange{every: 10 * time.Minute, burst: 1, payload: 30}, 10*time.Minute)
					w.why("")
				}
				s := w.settled(12 * time.Hour)
				if s.Proven > limit || s.Interval < limit*9/10 || s.Shrinks != 0 {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// A nonce that a flood pushed out of the server's queue is no sign of the path: what the flood brought got through.
func TestANonceLostInAFloodIsNoEvidence(t *testing.T) {
	for name, payload := range map[string]int{"small": 1, "larger": 200} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, &world{}, options(heartbeat.Thrifty), func(w *world) {
				w.replace = func() []byte { return bytes.Repeat([]byte("y"), payload) }
				m := w.up("first", false)
				w.sleep(time.Hour)
				if s := w.status(); s.Failing != 0 || s.Proven != 0 || w.le.search.Knowledge().Known() {
					t.Errorf("%+v", s)
				}
				if m.pings > 0 {
					t.Errorf("the main link was pinged %d times after a loss", m.pings)
				}
			})
		})
	}
}

// What others publish on the main link's own topic is refused and counted with the rest, and a muted link has no pair.
func TestStrangersOnThePairsTopic(t *testing.T) {
	for name, muted := range map[string]bool{"heard": false, "muted": true} {
		t.Run(name, func(t *testing.T) {
			w := &world{}
			o := options(heartbeat.Fast)
			o.Canary.Pair = true
			inWorld(t, w, o, func(w *world) {
				w.hear = func(p []byte) { go w.le.PairHeard(p, 30, false, func() {}) }
				w.up("first", false)
				w.sleep(2 * time.Hour)
				if w.le.pair.conn == nil {
					t.Fatal("there is no pair")
				}
				foreign := 0
				if w.le.Mute(muted); !muted {
					for range 100 {
						w.le.PairHeard([]byte("x"), 30, false, func() { foreign++ })
					}
				}
				before := w.status()
				w.sleep(9 * time.Minute)
				if (w.le.pair.conn != nil) != !muted || !muted && foreign != 100 || w.status().Shrinks != 0 {
					t.Errorf("%d foreign, %+v", foreign, w.status())
				}
				if w.le.Mute(false); w.status().Proven != before.Proven {
					t.Errorf("was %+v, is %+v", before, w.status())
				}
				w.sleep(2 * time.Hour)
				if w.le.pair.conn == nil || w.le.pair.proven.IsZero() {
					t.Error("the pair does not come back")
				}
				w.why("")
			})
		})
	}
}
