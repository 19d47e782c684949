package transport

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linkbeat/linkbeat/transport/brokertest"
	"github.com/linkbeat/linkbeat/transport/faults"
)

// hostile is a connection whose server says more than a broker does.
type hostile struct {
	net.Conn
	mu   sync.Mutex
	more []byte
}

func (h *hostile) Read(p []byte) (int, error) {
	h.mu.Lock()
	n := copy(p, h.more)
	h.more = h.more[n:]
	h.mu.Unlock()
	if n > 0 {
		return n, nil
	}
	return h.Conn.Read(p)
}

// Answers to nothing are refused, tolerated up to a bound, and then the server is left like any other that speaks no MQTT.
func TestAnswersToNothingAreRefusedAndBounded(t *testing.T) {
	for name, c := range map[string]struct {
		packet string
		times  int
		ends   string // in why; "": the session goes on
	}{
		"a few PINGRESPs": {"\xd0\x00", 30, ""},
		"a few PUBACKs":   {"\x40\x02\x77\x77", 30, ""},
		"PINGRESPs":       {"\xd0\x00", 40, "a PINGRESP [MQTT-3.12.4-1]"},
		"PUBACKs":         {"\x40\x02\x77\x77", 40, "a PUBACK (section 3.4)"},
		"SUBACKs":         {"\x90\x03\x77\x77\x01", 40, "a SUBACK [MQTT-3.8.4-2]"},
		"UNSUBACKs":       {"\xb0\x02\x77\x77", 40, "an UNSUBACK [MQTT-3.10.4-4]"},
		"a few PUBRELs":   {"\x62\x02\x77\x77", 30, ""},
		"PUBRELs":         {"\x62\x02\x77\x77", 40, "a PUBREL that was answered before (section 4.3.3)"},
		"a few PUBRECs":   {"\x50\x02\x77\x77", 15, ""},
		"PUBRECs":         {"\x50\x02\x77\x77", 40, "a PUBREC that was answered before (section 4.3.3)"},
		"a few PUBCOMPs":  {"\x70\x02\x77\x77", 30, ""},
		"PUBCOMPs":        {"\x70\x02\x77\x77", 40, "a PUBCOMP (section 3.7)"},
		"a long SUBACK":   {"\x90\xe8\x07\x77\x77" + strings.Repeat("\x01", 998), 1, "type 9"},
		"an AUTH":         {"\xf0\x02\x18\x00", 1, "type 15"},
		"a DISCONNECT":    {"\xe0\x02\x8e\x00", 1, "type 14"},
	} {
		t.Run(name, func(t *testing.T) {
			var last *hostile
			tweak := func(o *Options) {
				dial := o.Dial
				o.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
					c, err := dial(ctx, network, addr)
					if err != nil {
						return nil, err
					}
					last = &hostile{Conn: c}
					return last, nil
				}
			}
			inBubble(t, rigOptions{tweak: tweak}, func(r *rig) {
				r.up(time.Minute)
				last := last
				before := r.link.Status()
				last.mu.Lock()
				last.more = []byte(strings.Repeat(c.packet, c.times))
				last.mu.Unlock()
				r.sleep(3 * time.Minute) // a beat wakes the reader
				after := r.link.Status()
				n, each := after.Bytes.Refused-before.Bytes.Refused, int64(len(c.packet))
				if c.times > 1 && (n < 30*each || n > 64*each) {
					t.Errorf("%d bytes are booked as refused", n)
				}
				if lost := after.Losses[faults.LossProtocol]; (lost > 0) != (c.ends != "") || after.Drops != lost {
					t.Errorf("%+v", after)
				}
				told := ""
				r.mu.Lock()
				for _, e := range r.events {
					told += e.Why
				}
				r.mu.Unlock()
				if c.ends != "" && !strings.Contains(told, c.ends) {
					t.Errorf("%q is not said: %s", c.ends, told)
				}
			})
		})
	}
}

// Late answers, however many, were asked for.
func TestLateAnswersWereAskedFor(t *testing.T) {
	for _, silent := range []time.Duration{20 * time.Second, 40 * time.Second} {
		t.Run(fmt.Sprint(silent), func(t *testing.T) {
			inBubble(t, rigOptions{}, func(r *rig) {
				r.up(time.Minute)
				for range 20 {
					r.a.Freeze()
					r.sleep(silent)
					r.a.Thaw()
					r.sleep(time.Minute)
				}
				if st := r.link.Status(); st.Bytes.Refused != 0 || st.Losses[faults.LossProtocol] != 0 || st.Ignored != 0 {
					t.Errorf("%+v", st)
				}
				synctest.Wait()
			})
		})
	}
}

// Another client of the real broker publishes to probe topics as fast as it can: data flows, little is booked, why says who may.
func TestMosquittoForeignProbes(t *testing.T) {
	m := brokertest.Start(t, brokertest.Plain)
	var mu sync.Mutex
	told := 0
	l := learningLink(t, Server{URL: URL("mqtt://" + m.Addr())}, func(o *Options) {
		o.Notify = func(e Event) {
			mu.Lock()
			defer mu.Unlock()
			if e.Kind == EventForeign {
				told++
			}
		}
	})
	other, err := New(Options{ClientID: "tenant", Servers: []Server{{URL: URL("mqtt://" + m.Addr())}}})
	if err != nil {
		t.Fatal(err)
	}
	runLink(t, other)
	awaitUp(t, other)
	ctx, stop := context.WithCancel(t.Context())
	var flood sync.WaitGroup
	for n := range 4 {
		flood.Go(func() {
			for ctx.Err() == nil {
				_, _ = other.Send(ctx, Message{Topic: probeTopic(n + 1), Payload: make([]byte, 500), QoS: 1})
			}
		})
	}
	runLink(t, l)
	awaitUp(t, l)
	awaitStatus(t, l, "it rests", func(st Status) bool {
		return strings.Contains(st.Why, "others publish to "+probeTopic(1)[:5])
	})
	for range 50 {
		m := Message{Topic: "lb/gw-1/up/data/x", Payload: []byte("x"), QoS: 1}
		if n, err := l.Publish(t.Context(), m); n != 1 || err != nil {
			t.Fatal(err)
		}
	}
	stop()
	flood.Wait()
	st := l.Status()
	mu.Lock()
	defer mu.Unlock()
	if st.Bytes.Refused == 0 || st.Bytes.Refused > 64<<10 || st.Drops != 0 || told != 1 || st.Heartbeat.Open != 0 {
		t.Errorf("told %d times: %+v", told, st)
	}
}
