package transport

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/transport/brokertest"
	"github.com/linkbeat/linkbeat/transport/heartbeat"
	"github.com/linkbeat/linkbeat/transport/transporttest"
)

// refusals is a ServerMemory.
type refusals struct {
	mu   sync.Mutex
	what map[string][]string
}

func (m *refusals) Refused(server string) ([]string, time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.what[server], time.Hour
}

func (m *refusals) SaveRefused(server string, what []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.what == nil {
		m.what = map[string][]string{}
	}
	m.what[server] = what
}

func (m *refusals) of(server string) string {
	what, _ := m.Refused(server)
	return strings.Join(what, " ")
}

// picky is a broker that hangs up at what it does not take.
func picky(retain, willRetain, will bool, keepalive time.Duration) transporttest.Hooks {
	return transporttest.Hooks{
		OnConnect: func(c transporttest.Connect) byte {
			if c.ClientID != rigID {
				return transporttest.Accepted
			}
			bad := will && c.Will != nil || willRetain && c.Will != nil && c.Will.Retain ||
				keepalive > 0 && time.Duration(c.Keepalive)*time.Second > keepalive
			if bad {
				return transporttest.HangUpInstead
			}
			return transporttest.Accepted
		},
		OnPublish: func(_ string, m transporttest.Message) transporttest.Answer {
			if retain && m.Retain {
				return transporttest.HangUp
			}
			return transporttest.Take
		},
	}
}

// sendWithin reports that m was acknowledged in time.
func sendWithin(l *Link, m Message, most time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), most)
	defer cancel()
	a, err := l.Send(ctx, m)
	if err != nil {
		return false
	}
	select {
	case <-a.Done():
		return a.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// TestWhatAServerDoesNotTakeIsLeftOut: each kind of server carries data within seconds, is known within minutes, and is said.
func TestWhatAServerDoesNotTakeIsLeftOut(t *testing.T) {
	for name, c := range map[string]struct {
		hooks transporttest.Hooks
		gone  string
		says  []string
	}{
		"no retained messages": {picky(true, true, false, 0), "will_retain retain",
			[]string{"retained messages or a retained will", "linkbeatctl devices", "fleet documents"}},
		"no retained publish": {picky(true, false, false, 0), "retain", []string{"retained messages", "fleet documents"}},
		"no retained will":    {picky(false, true, false, 0), "will_retain", []string{"a retained will"}},
		"no will":             {picky(false, false, true, 0), "will will_retain", []string{"nobody is told"}},
		"keepalive to 1160 s": {picky(false, false, false, 1160*time.Second), "long_keepalive", nil},
		"keepalive to 100 s":  {picky(false, false, false, 100*time.Second), "keepalive long_keepalive", nil},
		"all of it": {picky(true, true, false, 1160*time.Second), "long_keepalive will_retain retain",
			[]string{"fleet documents"}},
		"nothing": {transporttest.Hooks{}, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			memory := &refusals{}
			mode := heartbeat.Off
			if strings.Contains(name, "keepalive") {
				mode = heartbeat.Fast // which asks for the ceiling
			}
			tweak := tweaked(mode, func(o *Options) { o.Refused = memory })
			inBubble(t, rigOptions{a: c.hooks, tweak: tweak}, func(r *rig) {
				start, first := time.Now(), time.Duration(0)
				for i := 0; time.Since(start) < 30*time.Minute; i++ {
					if first == 0 && sendWithin(r.link, data(i), time.Second) {
						first = time.Since(start)
					}
					r.sleep(time.Second)
				}
				if got := memory.of("mqtt://a"); got != c.gone {
					r.Errorf("left out %q, not %q", got, c.gone)
				}
				if first == 0 || first > 30*time.Second {
					r.Errorf("first data after %v", first)
				}
				r.why(c.says...)
				before := connects(r.a)
				r.sleep(22 * time.Hour)
				if n := connects(r.a) - before; n > 0 {
					r.Errorf("%d connects in a day in which all was known", n)
				}
				r.sleep(4 * time.Hour)
				r.up(time.Minute)
				if got := memory.of("mqtt://a"); got != c.gone {
					r.Errorf("a day later left out %q, not %q", got, c.gone)
				}
			})
		})
	}
}

// TestAHealthyServerKeepsAll: outages, kills, a twin with our id, and a server that is killed right after CONNECT for a while.
func TestAHealthyServerKeepsAll(t *testing.T) {
	var dies atomic.Int64
	for name, trouble := range map[string]func(r *rig){
		"outages": func(r *rig) {
			for range 5 {
				r.nat.Cut(2 * time.Minute)
				r.sleep(5 * time.Minute)
			}
		},
		"killed": func(r *rig) {
			for i := range 20 {
				r.a.Close()
				r.sleep(time.Duration(i) * 3 * time.Second)
				r.serve(r.a, "a:1883")
				r.sleep(time.Duration(i*i) * time.Second)
			}
		},
		"a proxy without a backend": func(r *rig) {
			for i := range 10 {
				dies.Store(1 << 40)
				r.a.Close()
				r.serve(r.a, "a:1883")
				r.sleep(time.Duration(i) * 40 * time.Second)
				dies.Store(0)
				r.sleep(5 * time.Minute)
			}
		},
		"killed twice at the birth": func(r *rig) {
			for range 5 {
				dies.Store(2)
				r.a.Close()
				r.serve(r.a, "a:1883")
				r.sleep(3 * time.Minute)
			}
		},
		"a twin": func(r *rig) {
			twin, err := New(Options{ClientID: rigID, Servers: []Server{{URL: "mqtt://a"}}, StateTopic: rigState,
				Dial: r.net.Dial, State: func(online bool, s Session) []byte { return append(stateOf(online, s), " twin"...) }})
			if err != nil {
				r.Fatal(err)
			}
			stop := runTwin(r, twin)
			r.sleep(3 * time.Hour)
			stop()
		},
	} {
		t.Run(name, func(t *testing.T) {
			dies.Store(0)
			memory := &refusals{}
			hooks := transporttest.Hooks{OnConnect: func(transporttest.Connect) byte {
				if dies.Load() > 2 {
					return transporttest.HangUpInstead
				}
				return transporttest.Accepted
			}, OnPublish: func(_ string, m transporttest.Message) transporttest.Answer {
				if m.Retain && dies.Add(-1) >= 0 {
					return transporttest.HangUp
				}
				return transporttest.Take
			}}
			tweak := tweaked(heartbeat.Off, func(o *Options) { o.Refused = memory })
			inBubble(t, rigOptions{a: hooks, tweak: tweak}, func(r *rig) {
				r.up(time.Minute)
				trouble(r)
				r.sleep(3 * time.Hour)
				r.up(time.Minute)
				r.why()
				if got := memory.of("mqtt://a"); got != "" || r.has(EventLeftOut) {
					r.Errorf("left out %q; %s", got, r.kinds())
				}
				for _, c := range r.a.Connects()[len(r.a.Connects())-1:] {
					if c.ClientID == rigID && (c.Will == nil || !c.Will.Retain) {
						r.Errorf("the will is %+v", c.Will)
					}
				}
				if m, ok := r.a.Retained(rigState); !ok || !strings.Contains(string(m.Payload), `"online":true`) {
					r.Errorf("retained: %s", m.Payload)
				}
			})
		})
	}
}

// uplink.retain: off asks for nothing to be retained; on gives nothing up.
func TestRetainOnAndOff(t *testing.T) {
	inBubble(t, rigOptions{a: picky(true, true, false, 0), tweak: func(o *Options) { o.Retain = RetainOff }}, func(r *rig) {
		r.up(time.Second)
		r.sleep(48 * time.Hour)
		if st := r.link.Status(); connects(r.a) != 1 || st.Why != "" {
			r.Errorf("%d connects, %+v", connects(r.a), st)
		}
	})
	inBubble(t, rigOptions{a: picky(true, true, false, 0), tweak: func(o *Options) { o.Retain = RetainOn }}, func(r *rig) {
		r.sleep(12 * time.Hour)
		if r.has(EventLeftOut) || r.link.Status().Why == "" {
			r.Errorf("%+v", r.link.Status())
		}
	})
}

// The real broker with retain_available false: data goes within seconds, and why says within half a minute what it is about.
func TestMosquittoWithoutRetain(t *testing.T) {
	m := brokertest.Start(t, func(port int, _ string) string {
		return fmt.Sprintf("listener %d 127.0.0.1\nallow_anonymous true\nretain_available false\n", port)
	})
	l, err := New(Options{ClientID: "gw-1", Servers: []Server{{URL: URL("mqtt://" + m.Addr())}}, StateTopic: "lb/gw-1/up/state",
		State: stateOf, AdaptKeep: true, Keepalive: 1170 * time.Second, DetectWithin: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	runLink(t, l)
	began := time.Now()
	for !sendWithin(l, data(1), time.Second) {
		if time.Since(began) > 20*time.Second {
			t.Fatalf("no data: %+v", l.Status())
		}
	}
	for !strings.Contains(l.Status().Why, "retained messages") {
		if time.Since(began) > 40*time.Second {
			t.Fatalf("not said: %+v", l.Status())
		}
		<-time.After(100 * time.Millisecond)
	}
}
