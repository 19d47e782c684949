package agent

import (
	"context"
	"fmt"
	"maps"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/linkbeat/linkbeat/agent/clock"
	"github.com/linkbeat/linkbeat/agent/delivery"
	"github.com/linkbeat/linkbeat/agent/pump"
	"github.com/linkbeat/linkbeat/agent/record"
	"github.com/linkbeat/linkbeat/agent/spool"
	"github.com/linkbeat/linkbeat/agent/spool/spooltest"
	"github.com/linkbeat/linkbeat/agent/supervise"
	"github.com/linkbeat/linkbeat/agent/wire"
	"github.com/linkbeat/linkbeat/transport"
	"github.com/linkbeat/linkbeat/transport/transporttest"
)

// verdictMemory keeps verdicts over the lives of a gateway.
type verdictMemory struct {
	mu  sync.Mutex
	all map[string]map[string]string
}

func (m *verdictMemory) Verdicts(login string) (map[string]string, time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.all[login]), time.Now()
}

func (m *verdictMemory) KeepVerdicts(login string, all map[string]string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all[login] = all
}

// deniedLife is one life of a gateway with the devices meter and pump: spool, pump, link and what holds back what is denied, in a
// bubble.
type deniedLife struct {
	data   *spool.Spool
	keeper *delivery.Keeper
	link   *transport.Link
	stop   func()
}

const deniedWindow = 8

func newDeniedLife(t *testing.T, net *transporttest.Network, data *spool.Spool, memory delivery.Memory) *deniedLife {
	t.Helper()
	l := &deniedLife{data: data}
	topic := func(class, name string) transport.EchoTopic {
		return transport.EchoTopic{Class: class, Topic: "lb/gw/up/" + name, Other: "lb/gw-p0/up/" + name}
	}
	var err error
	l.link, err = transport.New(transport.Options{ClientID: "gw", Servers: []transport.Server{{URL: "mqtt://broker:1883"}},
		Window: deniedWindow, Dial: net.Dial, StateTopic: "lb/gw/up/state", State: func(online bool, s transport.Session) []byte {
			return fmt.Appendf(nil, `{"online":%v,"session":%d,"since":%d}`, online, s.Number, s.Since.UnixNano())
		}})
	if err != nil {
		t.Fatal(err)
	}
	replies, high := spooltest.Open(t), spooltest.Open(t)
	routes := pump.NewRoutes("lb/gw/up/data/{name}", "gw")
	var p *pump.Pump
	l.keeper = delivery.New(delivery.Options{Link: l.link.Trials(), Memory: memory, State: topic("state", "state"),
		Probe:     "lb/gw/dn/probe/0",
		Topics:    []transport.EchoTopic{topic("data", "data/meter"), topic("data", "data/pump"), topic("state", "state")},
		Gone:      func(string) (transport.EchoTopic, bool) { return transport.EchoTopic{}, false },
		Advice:    delivery.Advice{ID: "gw", Prefix: "lb"},
		Exhausted: func() bool { return false },
		Backlog:   func() delivery.Backlog { return delivery.Backlog{Records: p.Waiting()} }, Log: zerolog.Nop()})
	p = pump.New(pump.Options{Link: l.link, Data: data, High: high, Replies: replies, ReplyTopic: "lb/gw/up/reply/{name}",
		Routes: routes, Clock: clock.New(time.Time{}), Exhausted: func() bool { return false }, Holds: l.keeper,
		Log: zerolog.Nop()})
	var all supervise.Liveness
	loop := all.Loop("pump")
	g := supervise.Group{{Name: "spool", Run: data.Run}, {Name: "link", Run: l.link.Run, Stop: time.Minute},
		{Name: "delivery", Run: l.keeper.Run},
		{Name: "pump", Run: func(ctx context.Context) error { return p.Run(ctx, loop) }, Stop: time.Minute}}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	l.stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		loop.Gone()
	}
	return l
}

// deniedBooks are what came at the broker, by device and number.
type deniedBooks struct {
	mu    sync.Mutex
	times map[string]map[string]int // by device and text
	gaps  map[string]int            // by device
}

func (b *deniedBooks) take(m transporttest.Message) {
	device := strings.TrimPrefix(m.Topic, "lb/gw/up/data/")
	records, err := wire.ParseRecords(m.Payload)
	if err != nil || device == m.Topic {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range records {
		switch {
		case r.Gap != nil:
			b.gaps[device]++
		case r.Text != nil && *r.Text != "":
			if b.times[device] == nil {
				b.times[device] = map[string]int{}
			}
			b.times[device][*r.Text]++
		}
	}
}

// came is how many of a device's frames from one number on to another came, and how many came again.
func (b *deniedBooks) came(device string, from, to int) (n, again int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := from; i < to; i++ {
		if times := b.times[device][fmt.Sprintf("%s %d", device, i)]; times > 0 {
			n++
			again += times - 1
		}
	}
	return n, again
}

// A server denies one device for three days, while another one flows; the gateway is killed in between; then it is allowed. All
// that the quota has room for arrives, and nothing twice but the window.
func TestDeniedForThreeDays(t *testing.T) {
	for name, o := range map[string]struct {
		options spool.Options
		least   time.Duration // so much of the end must be there
	}{
		"all of it":        {spool.Options{MaxAge: 7 * 24 * time.Hour, MaxBytes: 64 << 20}, 72 * time.Hour},
		"max_age 2d":       {spool.Options{MaxAge: 48 * time.Hour, MaxBytes: 64 << 20}, 47 * time.Hour},
		"max_bytes 64 KiB": {spool.Options{MaxAge: 7 * 24 * time.Hour, MaxBytes: 64 << 10}, 20 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { deniedFor(t, o.options, o.least) })
		})
	}
}

func deniedFor(t *testing.T, o spool.Options, least time.Duration) {
	const every, days, room = 5 * time.Minute, 72 * time.Hour, time.Hour
	books := &deniedBooks{times: map[string]map[string]int{}, gaps: map[string]int{}}
	var allowed atomic.Bool
	broker := transporttest.NewBroker(transporttest.Hooks{
		OnPublish: func(_ string, m transporttest.Message) transporttest.Answer {
			if strings.HasSuffix(m.Topic, "/up/data/pump") && !allowed.Load() {
				return transporttest.HangUp
			}
			books.take(m)
			return transporttest.Take
		}})
	net := transporttest.NewNetwork()
	listen := func() {
		listener, err := net.Listen("broker:1883")
		if err != nil {
			t.Fatal(err)
		}
		broker.Serve(listener)
	}
	listen()
	base, memory := t.TempDir(), &verdictMemory{all: map[string]map[string]string{}}
	o.Sync, o.SegmentBytes = time.Hour, 4<<10
	open := func(life int) *deniedLife {
		data, err := spool.Open(spool.Dir(fmt.Sprint(base, "/", life)), o)
		if err != nil {
			t.Fatal(err)
		}
		return newDeniedLife(t, net, data, memory)
	}
	l, n := open(0), 0
	read := func(lasts time.Duration) {
		for end := time.Now().Add(lasts); time.Now().Before(end); n++ {
			for _, d := range []string{"meter", "pump"} {
				frame := record.Stored{Encoding: wire.Text, Stamp: clock.Stamp{Wall: time.Now().UnixMilli()},
					Data: fmt.Appendf(nil, "%s %d", d, n)}
				if _, err := l.data.Append(d, frame.Append(nil)); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(every)
		}
	}
	time.Sleep(time.Minute)
	read(days / 2)
	if _, sum := books.came("pump", 0, n); sum != 0 || !l.keeper.Held("lb/gw/up/data/pump") {
		t.Fatalf("pump is not held: why %q", l.keeper.Why())
	}
	if got, _ := books.came("meter", 0, n-1); got != n-1 {
		t.Errorf("%d of %d of the other device after a day and a half", got, n)
	}
	broker.Close() // nothing of what the old life does in its end arrives
	synctest.Wait()
	if err := os.CopyFS(fmt.Sprint(base, "/1"), os.DirFS(base+"/0")); err != nil {
		t.Fatal(err)
	}
	l.stop()
	_ = l.data.Close()
	l = open(1)
	listen()
	read(days / 2)
	allowed.Store(true)
	read(room + 10*time.Minute) // the longest until it is tried again
	for range 10_000 {
		if l.data.Status().Waiting == 0 {
			break
		}
		time.Sleep(time.Second)
	}
	for _, d := range []string{"meter", "pump"} {
		from := 0
		if d == "pump" {
			from = max(0, n-int((least+room)/every))
		}
		got, again := books.came(d, from, n)
		all, twice := books.came(d, 0, n)
		t.Logf("delivered: %s: %d of %d came, of the last %v %d of %d; %d again; %d gaps", d, all, n,
			time.Duration(n-from)*every, got, n-from, twice, books.gaps[d])
		if got != n-from || again > deniedWindow {
			t.Errorf("%s: %d of %d came, %d again", d, got, n-from, again)
		}
		if all < n && books.gaps[d] == 0 {
			t.Errorf("%s: what gave way is not marked", d)
		}
	}
	if why := l.keeper.Why(); why != "" || l.data.Status().Waiting != 0 {
		t.Errorf("why %q, %+v", why, l.data.Status())
	}
	l.stop()
	_ = l.data.Close()
	broker.Close()
	net.Close()
}
