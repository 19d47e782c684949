package transport

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/transport/transporttest"
)

const missingSentence = "does not acknowledge some publishes"

// keeper sends numbered publishes on topics as an owner that keeps them would: what a session lost is sent again on the next.
type keeper struct {
	*rig
	open []kept
}

type kept struct {
	m   Message
	ack *Ack
}

// send sends m, and again what was lost. It reports false when there is no session.
func (k *keeper) send(m Message) bool {
	k.open = append(k.open, kept{m: m})
	return k.tend()
}

func (k *keeper) tend() bool {
	left := k.open[:0]
	for _, o := range k.open {
		if o.ack != nil && !errors.Is(o.ack.Err(), ErrPending) {
			if o.ack.Err() == nil {
				continue
			}
			o.ack = nil
		}
		left = append(left, o)
	}
	k.open = left
	for i := range k.open {
		if k.open[i].ack != nil {
			continue
		}
		ctx, cancel := context.WithTimeout(k.Context(), 100*time.Millisecond)
		ack, err := k.link.Send(ctx, k.open[i].m)
		cancel()
		if err != nil {
			return false
		}
		k.open[i].ack = ack
	}
	return true
}

// counts are how often each payload came on data topics.
func (k *keeper) counts() (arrived, again int) {
	seen := map[string]bool{}
	for _, m := range k.a.Published("lb/gw-1/up/data/#") {
		key := m.Topic + string(m.Payload)
		if seen[key] {
			again++
		}
		seen[key] = true
	}
	return len(seen), again
}

// nth counts what a client publishes on data topics, and those of them that its server treats in an odd way.
type nth struct{ n, missing atomic.Int64 }

func (c *nth) next(m transporttest.Message) int {
	if !strings.HasPrefix(m.Topic, "lb/gw-1/up/data") {
		return 0
	}
	return int(c.n.Add(1))
}

// One publish in twenty is never acknowledged, whether it was delivered or not; also the first of each minute, and runs of them.
func TestSomePublishesAreNotAcknowledged(t *testing.T) {
	const every, span = 200 * time.Millisecond, 10 * time.Minute
	for name, c := range map[string]struct {
		answer transporttest.Answer
		odd    func(n int) bool
	}{
		"delivered, one in twenty": {transporttest.Mute, func(n int) bool { return n%20 == 7 }},
		"forgotten, one in twenty": {transporttest.Drop, func(n int) bool { return n%20 == 7 }},
		"the first of each minute": {transporttest.Mute, func(n int) bool { return n%300 == 1 }},
		"runs of ten":              {transporttest.Drop, func(n int) bool { return n%200 >= 190 }},
	} {
		each(t, func(t *testing.T, d time.Duration) {
			t.Run(name, func(t *testing.T) {
				var count nth
				hooks := transporttest.Hooks{OnPublish: func(_ string, m transporttest.Message) transporttest.Answer {
					if n := count.next(m); n > 0 && c.odd(n) {
						count.missing.Add(1)
						return c.answer
					}
					return transporttest.Take
				}}
				o := rigOptions{a: hooks, both: true, nat: transporttest.NATOptions{Latency: 50 * time.Millisecond},
					tweak: func(o *Options) { o.DetectWithin = d }}
				inBubble(t, o, func(r *rig) {
					r.up(time.Minute)
					k, start, first := &keeper{rig: r}, time.Now(), time.Duration(0)
					sent := 0
					for ; time.Since(start) < span; r.sleep(every) {
						k.send(data(sent))
						sent++
						if first == 0 && strings.Contains(r.link.Status().Why, missingSentence) {
							first = time.Since(start)
						}
					}
					arrived, again := k.counts()
					st, missing := r.link.Status(), int(count.missing.Load())
					r.Logf("%d of %d arrived, %d again, %d missing, %+v", arrived, sent, again, missing, st)
					if rate := float64(arrived) / span.Seconds(); rate < 4.5 {
						r.Errorf("%.2f frames/s", rate)
					}
					if again > missing {
						r.Errorf("%d came again, %d were missing", again, missing)
					}
					if limit := min(d, 30*time.Second) + 40*time.Second; first == 0 || first > limit {
						r.Errorf("why named it after %v", first)
					}
					if st.Drops != 0 || st.Server != "mqtt://a" || st.Unacknowledged == 0 || st.Redials == 0 {
						r.Errorf("status: %+v", st)
					}
					if n := strings.Count(r.kinds(), string(EventUnacknowledged)); n != 1 {
						r.Errorf("told %d times: %s", n, r.kinds())
					}
				})
			})
		})
	}
}

// The oldest publish has its deadline, and the next re-dial its time: 30 s, a minute, and so on to ten; it is forgotten.
func TestOnePublishIsNeverAcknowledged(t *testing.T) {
	var count nth
	stop := make(chan struct{})
	hooks := transporttest.Hooks{OnPublish: func(_ string, m transporttest.Message) transporttest.Answer {
		select {
		case <-stop:
		default:
			if count.next(m) > 0 && string(m.Payload) == "5" {
				return transporttest.Mute
			}
		}
		return transporttest.Take
	}}
	o := rigOptions{a: hooks, tweak: func(o *Options) { o.DetectWithin = 10 * time.Second }}
	inBubble(t, o, func(r *rig) {
		r.up(time.Minute)
		k, start := &keeper{rig: r}, time.Now()
		var redials []time.Duration
		sent := 0
		for ; time.Since(start) < time.Hour; r.sleep(time.Second) {
			k.send(data(sent))
			sent++
			if n := int(r.link.Status().Redials); n > len(redials) {
				redials = append(redials, time.Since(start).Round(time.Second))
			}
		}
		if redials[0] < 14*time.Second || redials[0] > 17*time.Second {
			r.Errorf("first after %v", redials[0])
		}
		for i := 1; i < len(redials); i++ {
			want := min(30*time.Second<<(i-1), 10*time.Minute)
			if gap := redials[i] - redials[i-1]; gap < want-2*time.Second || gap > want+5*time.Second {
				r.Errorf("%v between re-dials %d and %d, want %v", gap, i, i+1, want)
			}
		}
		if arrived, again := k.counts(); arrived != sent || again != len(redials) {
			r.Errorf("%d of %d, %d again over %d re-dials", arrived, sent, again, len(redials))
		}
		r.why("mqtt://a " + missingSentence)
		close(stop)
		for range 25 {
			k.send(data(sent))
			sent++
			r.sleep(time.Minute)
		}
		r.why()
		if !r.has(EventAcknowledged) {
			r.Error("its end was not told")
		}
	})
}

// A lone publish, with nothing behind it, is told from a server that acknowledges none: its state is acknowledged.
func TestALonePublishIsNotAcknowledged(t *testing.T) {
	each(t, func(t *testing.T, d time.Duration) {
		var count nth
		hooks := transporttest.Hooks{OnPublish: func(_ string, m transporttest.Message) transporttest.Answer {
			if count.next(m)%20 == 3 {
				return transporttest.Mute
			}
			return transporttest.Take
		}}
		o := rigOptions{a: hooks, both: true, tweak: func(o *Options) { o.DetectWithin = d }}
		inBubble(t, o, func(r *rig) {
			r.up(time.Minute)
			k := &keeper{rig: r}
			for i := range 60 {
				k.send(data(i))
				if r.sleep(min(d/2, 20*time.Second) + 2*time.Second); i == 2 {
					r.why(missingSentence)
				}
				r.sleep(4 * d)
			}
			if st := r.link.Status(); st.Drops != 0 || st.Server != "mqtt://a" || st.Redials < 3 || st.Redials > 6 {
				r.Errorf("status: %+v", st)
			}
			if arrived, _ := k.counts(); arrived != 60 {
				r.Errorf("%d of 60", arrived)
			}
		})
	})
}

// With as many missing as the window slides past, the next re-dial comes at once; the rate does not matter.
func TestManyMissingAreRepeatedAtOnce(t *testing.T) {
	for _, perSecond := range []int{20, 200} {
		t.Run(fmt.Sprint(perSecond), func(t *testing.T) {
			var count nth
			hooks := transporttest.Hooks{OnPublish: func(_ string, m transporttest.Message) transporttest.Answer {
				if count.next(m)%20 == 7 {
					count.missing.Add(1)
					return transporttest.Mute
				}
				return transporttest.Take
			}}
			o := rigOptions{a: hooks, nat: transporttest.NATOptions{Latency: 10 * time.Millisecond},
				tweak: func(o *Options) { o.DetectWithin = 60 * time.Second }}
			inBubble(t, o, func(r *rig) {
				r.up(time.Minute)
				k, start, sent := &keeper{rig: r}, time.Now(), 0
				for ; time.Since(start) < time.Minute; r.sleep(time.Second / time.Duration(perSecond)) {
					k.send(data(sent))
					sent++
				}
				arrived, again := k.counts()
				missing := int(count.missing.Load())
				r.Logf("%d of %d, %d again, %d missing, %+v", arrived, sent, again, missing, r.link.Status())
				r.why(missingSentence)
				if arrived < 60*perSecond*9/10 || again > missing || r.link.Status().Drops != 0 {
					r.Errorf("%d of %d, %d again, %d missing, %+v", arrived, sent, again, missing, r.link.Status())
				}
			})
		})
	}
}
