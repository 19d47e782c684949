package operator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/agent/wire"
)

// held is what is still held after f, whose result is kept, in bytes.
func held(f func() any) int64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	kept := f()
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(kept)
	return int64(after.HeapAlloc) - int64(before.HeapAlloc)
}

// TestATailOfABombTakesLittleMemory: 32,648 bytes of gzip took 3.3 GB.
func TestATailOfABombTakesLittleMemory(t *testing.T) {
	list := func(element string, n int) []byte {
		return []byte("[" + strings.Repeat(element+",", n) + element + "]")
	}
	const frame = `{"seq":1,"epoch":"a","text":"x"}`
	long := func(unit string) []byte {
		return []byte(`{"seq":1,"epoch":"a","text":"` + strings.Repeat(unit, (wire.MaxPayload-100)/len(unit)) + `"}`)
	}
	for name, tt := range map[string]struct {
		payload []byte
		said    string // in what is printed
	}{
		"inflated without end":  {wire.Gzip(make([]byte, 64<<20)), "more than 4194304 bytes"},
		"empty objects":         {wire.Gzip(list("{}", 11<<20)), "more than 4194304 bytes"},
		"objects that fit":      {wire.Gzip(list("{}", 1<<20)), "at most 100000 members"},
		"frames without a name": {wire.Gzip(list(frame, 9000)), "#1 x"},
		"too many records":      {wire.Gzip(list(frame, 20_000)), "at most 10000 records; set a smaller batch"},
		"a frame of zeros":      {wire.Gzip(make([]byte, wire.MaxPayload)), "bytes more"},
		"a frame that escapes":  {wire.Gzip(bytes.Repeat([]byte{1}, wire.MaxPayload)), "bytes more"},
		"a text of C1 controls": {wire.Gzip(long("\u0080")), "bytes more"},
		"a text of bidi signs":  {wire.Gzip(long("\u202e")), "bytes more"},
		"a text of escapes":     {wire.Gzip(long(`\u001b`)), "bytes more"},
		"an endless number": {wire.Gzip([]byte(`{"seq":1,"epoch":"a","values":{"a":` + strings.Repeat("1", 4<<20-100) + `}}`)),
			"bytes more"},
		"too many entries": {wire.Gzip([]byte(`[{"bn":"a/b/","n":"a","v":1,"seq":1,"epoch":"a"},` +
			string(list(`{"n":"a","v":1}`, 200_000)[1:]))), "at most 100000 members"},
	} {
		for what, format := range map[string]Format{"text": Text, "json": JSON, "raw": Raw} {
			t.Run(name+" as "+what, func(t *testing.T) {
				var said strings.Builder
				out := &clip{to: &said, left: 1 << 16}
				p := &Printer{Out: out, Notes: out, Format: format}
				f := follower{template: wire.DefaultTopics().Data, emit: p.Print}
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				err := f.message(message{topic: "lb/gw/up/data/meter/gz", payload: tt.payload})
				runtime.ReadMemStats(&after)
				if err != nil {
					t.Fatal(err)
				}
				if n := after.TotalAlloc - before.TotalAlloc; n > 60<<20 {
					t.Errorf("%d bytes of gzip: %d were allocated", len(tt.payload), n)
				}
				if format == Text && !strings.Contains(said.String()+out.end, tt.said) {
					t.Errorf("%.200q … %q", said.String(), out.end)
				}
			})
		}
	}
}

// clip keeps the beginning and the end of what is written.
type clip struct {
	to   io.StringWriter
	left int
	end  string
}

func (c *clip) Write(p []byte) (int, error) {
	n := min(len(p), c.left)
	_, _ = c.to.WriteString(string(p[:n]))
	c.left -= n
	c.end = string(p[max(0, len(p)-200):])
	return len(p), nil
}

func TestAnInboxCountsWhatAMessageTakes(t *testing.T) {
	for name, m := range map[string]message{
		"empty payloads": {topic: "lb/gw/up/state"},
		"long topics":    {topic: "lb/" + strings.Repeat("x", 60<<10)},
		"long payloads":  {topic: "lb/gw/up/state", payload: make([]byte, 1<<20)},
	} {
		b := newInbox(inboxLimit)
		n := 0
		for range 1 << 18 {
			b.put(m)
		}
		for ; ; n++ {
			if _, _, ok := b.tryTake(); !ok {
				break
			}
		}
		if n*m.size() > inboxLimit || n == 0 {
			t.Errorf("%s: %d messages of %d bytes waited", name, n, m.size())
		}
	}
}

// A wait ends although messages never do: of devices, of a reply, of a console's first word, and with ctrl-C.
func TestAWaitEndsThoughABrokerKeepsSending(t *testing.T) {
	b := newInbox(inboxLimit)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for taken := 0; ; taken++ {
		b.put(message{topic: "lb/gw/up/state"})
		b.put(message{topic: "lb/gw/up/state"})
		if taken == 100 {
			cancel()
		}
		if _, _, ok := b.take(ctx); !ok {
			if taken != 100 {
				t.Errorf("it ended after %d messages", taken)
			}
			return
		}
	}
}

func TestAReplyIsNotWaitedForLongerThoughABrokerKeepsSending(t *testing.T) {
	c := &client{inbox: newInbox(1 << 20)}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	states := 0
	c.inbox.put(message{topic: "state"})
	_, ok := c.replyWithin(ctx, time.Minute, "reply", "id", func([]byte) {
		c.inbox.put(message{topic: "state"})
		c.inbox.put(message{topic: "reply", payload: []byte(`{"id":"another operator's"}`)})
		if states++; states == 50 {
			cancel()
		}
	})
	if ok || states != 50 {
		t.Errorf("%v after %d states", ok, states)
	}
}

func TestOnlyRetainedMessagesExtendAListing(t *testing.T) {
	begun := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	state := func(id int) message {
		return message{topic: fmt.Sprintf("lb/gw-%d/up/state", id), payload: []byte(`{"online":true}`)}
	}
	for name, tt := range map[string]struct {
		every    time.Duration
		retained bool
		want     time.Duration
	}{
		"nothing":                     {time.Hour, true, time.Second},
		"live, all the time":          {10 * time.Millisecond, false, time.Second},
		"retained, all the time":      {10 * time.Millisecond, true, devicesMost},
		"retained, with long pauses":  {2 * time.Second, true, time.Second},
		"live, that others had heard": {500 * time.Millisecond, false, time.Second},
	} {
		l := newListing(wire.DefaultTopics(), time.Second, begun)
		now := begun
		for i := 0; ; i++ {
			if now = begun.Add(time.Duration(i+1) * tt.every); !now.Before(l.until()) {
				break
			}
			m := state(i)
			m.retained = tt.retained
			l.note(m, now)
		}
		if took := l.until().Sub(begun); took != tt.want {
			t.Errorf("%s: it took %v, want %v", name, took, tt.want)
		}
		if late := len(l.notices(l.until())) > 0; late != (tt.want == devicesMost) {
			t.Errorf("%s: said %v", name, l.notices(l.until()))
		}
	}
}

func TestAListingIsBounded(t *testing.T) {
	ports := []byte(`{"ports":{`)
	for p := range 2000 {
		ports = fmt.Appendf(ports, `"%d":{},`, p)
	}
	ports = append(ports[:len(ports)-1], "}}"...)
	version := []byte(`{"version":"` + strings.Repeat("x", 1<<20) + `"}`)
	for name, tt := range map[string]struct {
		message func(i int) message
		n       int
	}{
		"many gateways": {func(i int) message {
			return message{topic: fmt.Sprintf("lb/gw-%d/up/state", i), payload: []byte(`{"online":true}`)}
		}, 3 * devicesCount},
		"long names": {func(i int) message {
			topic := fmt.Sprintf("lb/%s%d/up/state", strings.Repeat("x", 60<<10), i)
			return message{topic: topic, payload: []byte(`{"online":true}`)}
		}, 1000},
		"many ports": {func(i int) message {
			return message{topic: fmt.Sprintf("lb/gw-%d/up/info", i), payload: ports}
		}, 60},
		"long versions": {func(i int) message {
			return message{topic: fmt.Sprintf("lb/gw-%d/up/state", i), payload: version}
		}, 30},
	} {
		t.Run(name, func(t *testing.T) {
			l := newListing(wire.DefaultTopics(), time.Second, time.Now())
			n := held(func() any {
				for i := range tt.n {
					l.note(tt.message(i), time.Now())
				}
				return l
			})
			if n > 2*devicesBytes {
				t.Errorf("%d bytes are held", n)
			}
			if int64(len(l.known))+l.left != int64(tt.n) || l.left == 0 || l.beyond != l.left {
				t.Errorf("%d of %d gateways are in the list, %d are said to be left out", len(l.known), tt.n, l.left)
			}
			said := strings.Join(l.notices(time.Now()), " ")
			if !strings.Contains(said, "not whole") || !strings.Contains(said, "--prefix") {
				t.Error(said)
			}
			var before, after runtime.MemStats
			var devices []Device
			for _, d := range l.known {
				devices = append(devices, d)
			}
			runtime.ReadMemStats(&before)
			written := &written{}
			if err := PrintDevices(written, devices, false, time.Now()); err != nil {
				t.Error(err)
			}
			runtime.ReadMemStats(&after)
			t.Logf("%d bytes held, %d written, %d allocated for it", n, written.n, after.TotalAlloc-before.TotalAlloc)
		})
	}
}

type written struct{ n, most int }

func (w *written) Write(p []byte) (int, error) {
	w.n, w.most = w.n+len(p), max(w.most, len(p))
	return len(p), nil
}

// A gateway that is known makes room of its own when it says less.
func TestAListingTakesWhatComesLast(t *testing.T) {
	l := newListing(wire.DefaultTopics(), time.Second, time.Now())
	for _, version := range []string{"1", strings.Repeat("x", devicesBytes/2), "3"} {
		l.note(message{topic: "lb/gw/up/state", payload: []byte(`{"version":"` + version + `"}`)}, time.Now())
	}
	if v := l.known["gw"].State.Version; v != "3" || l.bytes > 10*entryBytes || l.left != 0 {
		t.Errorf("version %s, %d bytes, %d left out", v, l.bytes, l.left)
	}
}

func TestATrackerIsBounded(t *testing.T) {
	for name, see := range map[string]func(t *Tracker, i int){
		"holes": func(t *Tracker, i int) {
			t.See(fmt.Sprintf("gw-%d/meter", i%2000), wire.Record{Epoch: fmt.Sprint(i / 2000 % 8), Seq: uint64(3*i + 1)})
		},
		"streams": func(t *Tracker, i int) { t.See(fmt.Sprintf("gw-%d/meter", i), wire.Record{Epoch: "a", Seq: 1}) },
		"long names": func(t *Tracker, i int) {
			t.See(fmt.Sprintf("gw-%d/%s", i%2000, strings.Repeat("x", 4<<10)), wire.Record{Epoch: fmt.Sprint(i), Seq: 1})
		},
	} {
		var tracker Tracker
		n := held(func() any {
			for i := range 80_000 {
				see(&tracker, i)
			}
			return &tracker
		})
		if n > 24<<20 || tracker.runs > maxRuns {
			t.Errorf("%s: %d bytes are held, %d runs", name, n, tracker.runs)
		}
		sum := 0
		for _, s := range tracker.streams {
			for _, e := range s.epochs {
				sum += len(e.missing)
			}
		}
		if sum != tracker.runs {
			t.Errorf("%s: %d runs, counted %d", name, sum, tracker.runs)
		}
	}
}

func TestAnOperatorsPasswordFileIsBounded(t *testing.T) {
	_, err := Options{PasswordFile: "/dev/zero"}.password()()
	if err == nil || !strings.Contains(err.Error(), "at most") || errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
