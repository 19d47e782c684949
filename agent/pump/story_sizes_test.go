package pump

import (
	"context"
	"maps"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/linkbeat/linkbeat/agent/clock"
	"github.com/linkbeat/linkbeat/agent/delivery"
	"github.com/linkbeat/linkbeat/agent/record"
	"github.com/linkbeat/linkbeat/agent/spool"
	"github.com/linkbeat/linkbeat/agent/spool/spooltest"
	"github.com/linkbeat/linkbeat/agent/supervise"
	"github.com/linkbeat/linkbeat/agent/wire"
	"github.com/linkbeat/linkbeat/transport"
	"github.com/linkbeat/linkbeat/transport/brokertest"
	"github.com/linkbeat/linkbeat/transport/transporttest"
)

// verdicts are what a gateway keeps over restarts.
type verdicts struct {
	mu  sync.Mutex
	all map[string]map[string]string
}

func (v *verdicts) Verdicts(login string) (map[string]string, time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return maps.Clone(v.all[login]), time.Now()
}

func (v *verdicts) KeepVerdicts(login string, all map[string]string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.all[login] = all
}

// sizeRig is a gateway with its keeper, and somebody who listens.
type sizeRig struct {
	t                   *testing.T
	data, high, replies *spool.Spool
	link                *transport.Link
	keeper              *delivery.Keeper
	pump                *Pump
	quarantine          *Quarantine
	memory              *verdicts
	trials              int // sizes that the keeper paid for
	stop                func()

	mu    sync.Mutex
	got   map[string]map[uint64]int // by device and number: how often
	sizes map[string][]int          // of payloads, by device
}

func newSizeRig(t *testing.T, addr string, m *verdicts, routes map[string]Route, poor bool,
	dial func(context.Context, string, string) (net.Conn, error)) *sizeRig {
	t.Helper()
	r := &sizeRig{t: t, data: spooltest.Open(t), high: spooltest.Open(t), replies: spooltest.Open(t), memory: m,
		got: map[string]map[uint64]int{}, sizes: map[string][]int{}}
	link := func(id string) *transport.Link {
		l, err := transport.New(transport.Options{ClientID: id, Dial: dial,
			Servers: []transport.Server{{URL: transport.URL("mqtt://" + addr)}}})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	r.link = link("gw-1")
	ear := link("ear")
	ear.Handle("lb/gw-1/up/data/#", func(m transport.Message, _ bool) { r.heard(m) })
	topicOf := func(name string) transport.EchoTopic {
		return transport.EchoTopic{Class: "data", Topic: "lb/gw-1/up/data/" + name, Other: "lb/gw-1-p0/up/data/" + name}
	}
	r.keeper = delivery.New(delivery.Options{Link: r.link.Trials(), Memory: m, Probe: "lb/gw-1/dn/probe/0",
		Topics: []transport.EchoTopic{topicOf("meter"), topicOf("scale")},
		Gone:   func(string) (transport.EchoTopic, bool) { return transport.EchoTopic{}, false },
		Advice: delivery.Advice{ID: "gw-1", Prefix: "lb"}, Exhausted: func() bool { return false },
		Backlog: func() delivery.Backlog { return delivery.Backlog{} }, Log: zerolog.Nop(),
		Affords: func(int) bool { r.trials++; return !poor }})
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	rs := NewRoutes("lb/gw-1/up/data/{name}", "gw-1")
	rs.Set(routes)
	r.quarantine = OpenQuarantine(root)
	r.pump = New(Options{Link: r.link, Data: r.data, High: r.high, Replies: r.replies, ReplyTopic: "lb/gw-1/up/reply/{name}",
		Routes: rs, Clock: clock.New(time.Time{}), Exhausted: func() bool { return false }, Quarantine: r.quarantine,
		Holds: r.keeper, Sizes: r.keeper, Log: zerolog.Nop()})
	pumping := func(ctx context.Context) error {
		var all supervise.Liveness
		loop := all.Loop("pump")
		defer loop.Gone()
		return r.pump.Run(ctx, loop)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- supervise.Group{{Name: "spool", Run: r.data.Run}, {Name: "ear", Run: ear.Run, Stop: time.Minute},
			{Name: "link", Run: r.link.Run, Stop: time.Minute}, {Name: "keeper", Run: r.keeper.Run},
			{Name: "pump", Run: pumping, Stop: time.Minute}}.Run(ctx)
	}()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		_ = root.Close()
	})
	r.until("the ear", func() bool { return ear.Status().State == transport.StateUp })
	return r
}

func (r *sizeRig) until(what string, is func() bool) {
	r.t.Helper()
	for end := time.Now().Add(40 * time.Second); !is(); {
		if time.Now().After(end) {
			r.t.Fatalf("not seen: %s; why %q, waiting %d", what, r.pump.Why(), r.data.Status().Waiting)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// heard is called with what the broker delivers.
func (r *sizeRig) heard(m transport.Message) {
	if wire.IsEcho(m.Payload) {
		return
	}
	records, err := wire.ParseRecords(m.Payload)
	if err != nil {
		r.t.Error(err)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	device := m.Topic[strings.LastIndexByte(m.Topic, '/')+1:]
	r.sizes[device] = append(r.sizes[device], len(m.Payload))
	for _, rec := range records {
		if rec.Gap != nil {
			continue // of what is in quarantine
		}
		if r.got[device] == nil {
			r.got[device] = map[uint64]int{}
		}
		r.got[device][rec.Seq]++
	}
}

// counts are how many records of a device arrived, how many of them more than once, and the largest payload.
func (r *sizeRig) counts(device string) (arrived, twice, largest int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range r.got[device] {
		if n > 1 {
			twice++
		}
	}
	for _, n := range r.sizes[device] {
		largest = max(largest, n)
	}
	return len(r.got[device]), twice, largest
}

// feed appends n frames of so many bytes.
func (r *sizeRig) feed(device string, n, size int) {
	r.t.Helper()
	for range n {
		frame := record.Stored{Encoding: wire.Text, Stamp: clock.Stamp{Wall: time.Now().UnixMilli()},
			Data: []byte(strings.Repeat("x", size))}
		if _, err := r.data.Append(device, frame.Append(nil)); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *sizeRig) empty() {
	r.t.Helper()
	r.until("an empty spool", func() bool { return r.data.Status().Waiting == 0 })
	<-time.After(100 * time.Millisecond)
}

func fresh() *verdicts { return &verdicts{all: map[string]map[string]string{}} }

func limited(line string) func(int, string) string {
	return func(port int, dir string) string { return brokertest.Plain(port, dir) + line }
}

func above(most int, deed brokertest.Deed) brokertest.Front {
	return brokertest.Front{Sized: func(topic string, bytes int) brokertest.Deed {
		if bytes > most {
			return deed
		}
		return brokertest.Pass
	}}
}

// TestWhatIsTooLargeIsNotGivenAway is the example and its like: 24 frames of 1.5 kB were acknowledged and thrown away.
// The small ones of another device flow; the large ones are in quarantine, which is said.
func TestWhatIsTooLargeIsNotGivenAway(t *testing.T) {
	swallows := above(1100, brokertest.Swallow)
	swallows.Old = true
	for name, c := range map[string]struct {
		config string
		front  brokertest.Front
	}{
		"message_size_limit":                   {config: "message_size_limit 1000\n"},
		"message_size_limit, without MQTT 5":   {config: "message_size_limit 1000\n", front: brokertest.Front{Old: true}},
		"closes at them":                       {front: above(1100, brokertest.HangUp)},
		"acknowledges them, without MQTT 5":    {front: swallows},
		"max_packet_size of MQTT 5, and 3.1.1": {config: "max_packet_size 1100\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := brokertest.Start(t, limited(c.config))
			r := newSizeRig(t, c.front.Listen(t, m.Addr()), fresh(), nil, false, nil)
			defer r.stop()
			r.feed("meter", 24, 1500)
			r.feed("scale", 30, 40)
			r.empty()
			if n, twice, _ := r.counts("scale"); n != 30 || twice != 0 {
				t.Errorf("%d of 30 small ones, %d twice", n, twice)
			}
			why := r.pump.Why()
			if n, _, _ := r.counts("meter"); n != 0 || r.quarantine.Status().Records != 24 ||
				!strings.Contains(why, "per message: 24 frames of meter are in quarantine; raise message_size_limit") {
				t.Errorf("%d arrived, %+v, why %q", n, r.quarantine.Status(), why)
			}
			if most, server := r.keeper.Limit(); most < 500 || most > 1100 || !strings.HasPrefix(server, "mqtt://") {
				t.Errorf("limit %d of %s", most, server)
			}
			if r.trials != 1 {
				t.Errorf("%d trials", r.trials)
			}
		})
	}
}

// TestBatchesFollow: records that fit arrive, in batches that the server takes.
func TestBatchesFollow(t *testing.T) {
	for name, front := range map[string]brokertest.Front{"MQTT 5": {}, "3.1.1": {Old: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := brokertest.Start(t, limited("message_size_limit 1000\n"))
			routes := map[string]Route{"meter": {Topic: "lb/gw-1/up/data/meter", Cause: transport.CauseData,
				Batch: Batching{Frames: 20, Delay: 200 * time.Millisecond, Bytes: 8 << 10}}}
			r := newSizeRig(t, front.Listen(t, m.Addr()), fresh(), routes, false, nil)
			defer r.stop()
			r.feed("meter", 60, 100)
			r.empty()
			n, twice, largest := r.counts("meter")
			if n != 60 || twice != 0 || largest > 1000 || largest < 300 || r.pump.Why() != "" ||
				r.quarantine.Status().Records != 0 {
				t.Errorf("%d of 60, %d twice, at most %d bytes, why %q, %d trials", n, twice, largest, r.pump.Why(), r.trials)
			}
			t.Logf("%d trials, at most %d bytes", r.trials, largest)
		})
	}
}

// TestAHealthyBrokerCostsATrialOrTwo: each record arrives once, the trial's too; what passed once is not tried again, also after
// a restart; a series that grows byte by byte costs few.
func TestAHealthyBrokerCostsATrialOrTwo(t *testing.T) {
	for name, front := range map[string]brokertest.Front{"MQTT 5": {}, "3.1.1": {Old: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, kept := brokertest.Start(t, brokertest.Plain), fresh()
			addr := front.Listen(t, m.Addr())
			r := newSizeRig(t, addr, kept, nil, false, nil)
			defer r.stop()
			r.feed("meter", 5, 20)
			r.empty()
			if r.trials != 0 {
				t.Errorf("%d trials of small records", r.trials)
			}
			r.feed("meter", 20, 1500)
			r.empty()
			if r.trials > 2 { // as numbers get longer
				t.Errorf("%d trials of one size", r.trials)
			}
			for size := 1501; size < 2500; size += 11 {
				r.feed("meter", 1, size)
			}
			r.empty()
			if n, twice, _ := r.counts("meter"); n != 116 || twice != 0 || r.trials > 3 || r.pump.Why() != "" {
				t.Errorf("%d of 116, %d twice, %d trials, why %q", n, twice, r.trials, r.pump.Why())
			}
			r.stop()
			r = newSizeRig(t, addr, kept, nil, false, nil)
			defer r.stop()
			r.feed("meter", 3, 2400)
			r.empty()
			if n, _, _ := r.counts("meter"); n != 3 || r.trials != 0 || r.link.Status().Bytes.Probe != 0 {
				t.Errorf("after a restart: %d of 3, %d trials, %d bytes", n, r.trials, r.link.Status().Bytes.Probe)
			}
		})
	}
}

// TestAPersonRaisesTheLimit: what was refused is tried again after linkbeat reconnect.
func TestAPersonRaisesTheLimit(t *testing.T) {
	var mu sync.Mutex
	most := 1100
	front := brokertest.Front{Sized: func(_ string, bytes int) brokertest.Deed {
		mu.Lock()
		defer mu.Unlock()
		if bytes > most {
			return brokertest.HangUp
		}
		return brokertest.Pass
	}}
	m := brokertest.Start(t, brokertest.Plain)
	r := newSizeRig(t, front.Listen(t, m.Addr()), fresh(), nil, false, nil)
	defer r.stop()
	r.feed("meter", 2, 1500)
	r.until("quarantine", func() bool { return r.quarantine.Status().Records == 2 })
	mu.Lock()
	most = 1 << 20
	mu.Unlock()
	r.keeper.Again()
	r.feed("meter", 4, 1500)
	r.empty()
	if n, twice, _ := r.counts("meter"); n != 4 || twice != 0 || r.quarantine.Status().Records != 2 {
		t.Errorf("%d of 4, %d twice", n, twice)
	}
	if most, _ := r.keeper.Limit(); most != 0 {
		t.Errorf("limit %d", most)
	}
}

// TestWithoutABudgetItIsAsBefore: nothing waits for a trial that nobody pays.
func TestWithoutABudgetItIsAsBefore(t *testing.T) {
	m := brokertest.Start(t, brokertest.Plain)
	r := newSizeRig(t, m.Addr(), fresh(), nil, true, nil)
	defer r.stop()
	r.feed("meter", 10, 1500)
	r.empty()
	if n, twice, _ := r.counts("meter"); n != 10 || twice != 0 || r.trials != 1 {
		t.Errorf("%d of 10, %d twice, asked for money %d times", n, twice, r.trials)
	}
}

// TestNobodyCanTellOfSizes: write-only rights without MQTT 5. It is published as before, and the sentence says what would help.
func TestNobodyCanTellOfSizes(t *testing.T) {
	m := brokertest.Start(t, brokertest.ACL("topic write lb/gw-1/#\ntopic readwrite lb/gw-1/dn/#\nuser ear\ntopic read #\n"))
	r := newSizeRig(t, brokertest.Front{Old: true}.Listen(t, m.Addr()), fresh(), nil, false, nil)
	defer r.stop()
	r.feed("meter", 10, 1500)
	r.empty()
	if r.pump.Why() != "" || r.quarantine.Status().Records != 0 || !strings.Contains(r.keeper.Doubt(), "nobody can tell") {
		t.Errorf("why %q, doubt %q", r.pump.Why(), r.keeper.Doubt())
	}
	if most, _ := r.keeper.Limit(); most != 0 {
		t.Errorf("limit %d", most)
	}
}

// TestASessionEndsWhileASizeIsTried: nothing is lost, over and over.
func TestASessionEndsWhileASizeIsTried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, broker := transporttest.NewNetwork(), (*transporttest.Broker)(nil)
		kicked := 0
		onPublish := func(id string, m transporttest.Message) transporttest.Answer {
			if id == transport.TrialID("gw-1") && len(m.Payload) > 1000 && kicked < 5 {
				kicked++
				go broker.Kick("gw-1")
			}
			return transporttest.Take
		}
		broker = transporttest.NewBroker(transporttest.Hooks{OnPublish: onPublish})
		l, err := n.Listen("broker:1883")
		if err != nil {
			t.Fatal(err)
		}
		broker.Serve(l)
		defer n.Close()
		defer broker.Close()
		r := newSizeRig(t, "broker:1883", fresh(), nil, false, n.Dial)
		defer r.stop()
		for i := range 20 {
			r.feed("meter", 1, 1500+200*i)
			<-time.After(5 * time.Second)
		}
		r.empty()
		if got, twice, _ := r.counts("meter"); got != 20 || twice > kicked || kicked == 0 {
			t.Errorf("%d of 20, %d twice, %d kicks", got, twice, kicked)
		}
	})
}
