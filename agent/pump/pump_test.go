package pump

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/linkbeat/linkbeat/agent/clock"
	"github.com/linkbeat/linkbeat/agent/record"
	"github.com/linkbeat/linkbeat/agent/spool"
	"github.com/linkbeat/linkbeat/agent/spool/spooltest"
	"github.com/linkbeat/linkbeat/agent/supervise"
	"github.com/linkbeat/linkbeat/agent/wire"
	"github.com/linkbeat/linkbeat/transport"
	"github.com/linkbeat/linkbeat/transport/transporttest"
)

// pumpRig is a pump over a real link, a model of a network and a model of a broker, inside a synctest bubble.
type pumpRig struct {
	net           *transporttest.Network
	broker        *transporttest.Broker
	link          *transport.Link
	data, replies *spool.Spool
	pump          *Pump
	routes        map[string]Route
	exhausted     atomic.Bool
	stop          func()
}

// run is the pump as a part of a group.
func (r *pumpRig) run(ctx context.Context) error {
	var all supervise.Liveness
	loop := all.Loop("pump")
	defer loop.Gone()
	return r.pump.Run(ctx, loop)
}

const testWindow = 8

func newPumpRig(t *testing.T, hooks transporttest.Hooks, table map[string]Route, set ...func(p *Pump)) *pumpRig {
	t.Helper()
	return newPumpRigOver(t, spooltest.Open(t), hooks, table, set...)
}

func newPumpRigOver(t *testing.T, data *spool.Spool, hooks transporttest.Hooks, table map[string]Route,
	set ...func(p *Pump)) *pumpRig {
	t.Helper()
	r := &pumpRig{net: transporttest.NewNetwork(), broker: transporttest.NewBroker(hooks), routes: table,
		data: data, replies: spooltest.Open(t)}
	listener, err := r.net.Listen("broker:1883")
	if err != nil {
		t.Fatal(err)
	}
	r.broker.Serve(listener)
	r.link, err = transport.New(transport.Options{ClientID: "gw", Servers: []transport.Server{{URL: "mqtt://broker:1883"}},
		Window: testWindow, Dial: r.net.Dial})
	if err != nil {
		t.Fatal(err)
	}
	rs := NewRoutes("up/{name}", "")
	rs.Set(r.routes)
	r.pump = &Pump{link: r.link, log: zerolog.Nop(), exhausted: r.exhausted.Load,
		lanes: []*lane{newLane(r.replies, replies{"reply/{name}"}),
			newLane(r.data, frames{clock: clock.New(time.Time{}), routes: rs})}}
	r.pump.lanes[0].vital = true
	for _, set := range set { // before it runs
		set(r.pump)
	}
	g := supervise.Group{{Name: "spool", Run: r.data.Run}, {Name: "link", Run: r.link.Run, Stop: time.Minute},
		{Name: "pump", Run: r.run, Stop: time.Minute}}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	r.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		r.broker.Close()
		r.net.Close()
	}
	return r
}

// feed appends n numbered frames of each device.
func (r *pumpRig) feed(t *testing.T, n int, devices ...string) {
	t.Helper()
	for i := range n {
		for _, d := range devices {
			frame := record.Stored{Encoding: wire.Text, Stamp: clock.Stamp{Wall: time.Now().UnixMilli()},
				Data: fmt.Appendf(nil, "%s %d", d, i)}
			if _, err := r.data.Append(d, frame.Append(nil)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// records returns what the broker got of a device, in order, and how many came again.
func (r *pumpRig) records(t *testing.T, device string) (texts []string, again int) {
	t.Helper()
	last := uint64(0)
	for _, m := range r.broker.Published("up/" + device) {
		records, err := wire.ParseRecords(m.Payload)
		if err != nil {
			t.Fatal(err)
		}
		for _, rec := range records {
			switch {
			case rec.Seq <= last:
				again++
				continue
			case rec.Seq != last+1:
				t.Fatalf("%s: %d after %d", device, rec.Seq, last)
			}
			last = rec.Seq
			texts = append(texts, *rec.Text)
		}
	}
	return texts, again
}

func (r *pumpRig) waitEmpty(t *testing.T) {
	t.Helper()
	for range 100_000 {
		if r.data.Status().Waiting == 0 && r.replies.Status().Waiting == 0 {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("still waiting: %+v", r.data.Status())
}

func checkTexts(t *testing.T, device string, texts []string, n int) {
	t.Helper()
	if len(texts) != n {
		t.Fatalf("%s: %d records of %d", device, len(texts), n)
	}
	for i, text := range texts {
		if text != fmt.Sprintf("%s %d", device, i) {
			t.Fatalf("%s: record %d is %q", device, i, text)
		}
	}
}

func TestPumpDeliversEverythingInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPumpRig(t, transporttest.Hooks{}, map[string]Route{})
		defer r.stop()
		r.feed(t, 500, "meter", "scale")
		r.waitEmpty(t)
		for _, d := range []string{"meter", "scale"} {
			texts, again := r.records(t, d)
			checkTexts(t, d, texts, 500)
			if again != 0 {
				t.Fatalf("%d came twice over a quiet link", again)
			}
		}
	})
}

// A session that breaks costs at most what was in flight, sent again under the same numbers.
func TestPumpRepeatsAtMostTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kicks, seen := 0, 0
		r := newPumpRig(t, transporttest.Hooks{OnPublish: func(string, transporttest.Message) transporttest.Answer {
			if seen++; seen%50 == 0 && kicks < 5 {
				kicks++
				return transporttest.HangUp
			}
			return transporttest.Take
		}}, map[string]Route{})
		defer r.stop()
		r.feed(t, 400, "meter")
		r.waitEmpty(t)
		texts, again := r.records(t, "meter")
		checkTexts(t, "meter", texts, 400)
		if kicks != 5 || again > kicks*testWindow {
			t.Fatalf("%d came again over %d losses", again, kicks)
		}
	})
}

// One device gathers batches while the other's records pass it: none is lost or sent again because of that, over a loss too.
func TestBatchesAndSinglesDoNotDisturbEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPumpRig(t, transporttest.Hooks{}, map[string]Route{
			"meter": {Topic: "up/meter", Batch: Batching{Frames: 20, Delay: 10 * time.Second, Bytes: 32 << 10},
				Cause: transport.CauseData},
		})
		defer r.stop()
		r.feed(t, 30, "meter", "scale") // one full batch, ten gathering
		time.Sleep(5 * time.Second)
		if got := len(r.broker.Published("up/meter")); got != 1 {
			t.Fatalf("%d batches before the delay", got)
		}
		if texts, _ := r.records(t, "scale"); len(texts) != 30 {
			t.Fatalf("singles wait for the batch: %d", len(texts))
		}
		r.broker.Kick("gw")
		r.waitEmpty(t)
		texts, again := r.records(t, "meter")
		checkTexts(t, "meter", texts, 30)
		single, twice := r.records(t, "scale")
		checkTexts(t, "scale", single, 30)
		if again != 0 || twice != 0 {
			t.Fatalf("%d and %d came again though they were acknowledged", again, twice)
		}
	})
}

// With the defaults of the spool, nothing is written while the link is up, whatever delay a device beside it asks for.
func TestABatchBesideCostsNoFlash(t *testing.T) {
	for name, delay := range map[string]time.Duration{"default delay": 10 * time.Second, "long delay": time.Hour,
		"short delay": time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				data, err := spool.Open(spool.Dir(t.TempDir()), spool.Options{WriteAfter: 5 * time.Second, Sync: time.Second})
				if err != nil {
					t.Fatal(err)
				}
				defer data.Close()
				r := newPumpRigOver(t, data, transporttest.Hooks{}, map[string]Route{"meter": {Topic: "up/meter",
					Batch: Batching{Frames: 1000, Delay: delay, Bytes: 32 << 10}, Gzip: false, Cause: transport.CauseData}})
				defer r.stop()
				<-r.link.Ready()
				r.feed(t, 1, "meter", "scale")
				before := data.Status().WrittenBytes
				for range 600 {
					r.feed(t, 1, "meter", "scale", "scale")
					time.Sleep(100 * time.Millisecond)
				}
				if got := data.Status().WrittenBytes - before; got != 0 {
					t.Errorf("%d bytes were written", got)
				}
				n := len(r.broker.Published("up/meter"))
				if most := 62 / min(delay, 3*time.Second).Seconds(); float64(n) > most+1 {
					t.Errorf("%d batches", n)
				}
			})
		})
	}
}

func TestBatchIsBoundedInBytes(t *testing.T) {
	b := batch{route: Route{Topic: "up/m", Batch: Batching{Frames: 100, Bytes: 64}}}
	for i := 0; b.fits([]byte(`{"seq":1}`)); i++ {
		b.add(spool.Pos(i+1), []byte(`{"seq":1}`))
	}
	if n := len(b.message().Payload); n > 64 || n != b.bytes {
		t.Fatalf("%d bytes, thought %d", n, b.bytes)
	}
}

func TestRepliesGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPumpRig(t, transporttest.Hooks{}, map[string]Route{})
		defer r.stop()
		<-r.link.Ready()
		r.broker.Freeze() // the window fills
		r.feed(t, 200, "meter")
		synctest.Wait()
		if _, err := r.replies.Append("", record.AppendReply(nil, "meter", wire.Reply{ID: "a", OK: true})); err != nil {
			t.Fatal(err)
		}
		r.broker.Thaw()
		r.waitEmpty(t)
		for i, m := range r.broker.Published("#") {
			if m.Topic == "reply/meter" {
				if i > 2*testWindow {
					t.Fatalf("the reply waited behind %d records", i)
				}
				return
			}
		}
		t.Fatal("no reply")
	})
}

// When the budget is used up only vital lanes are drained; when it begins anew the others go on by themselves.
func TestPumpWithoutABudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPumpRig(t, transporttest.Hooks{}, map[string]Route{})
		defer r.stop()
		r.exhausted.Store(true)
		r.feed(t, 1, "meter")
		if _, err := r.replies.Append("", record.AppendReply(nil, "meter", wire.Reply{ID: "x", OK: true})); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if frames, answers := len(r.broker.Published("up/#")), len(r.broker.Published("reply/#")); frames != 0 || answers != 1 {
			t.Errorf("%d frames and %d replies without a budget", frames, answers)
		}
		r.exhausted.Store(false)
		time.Sleep(2 * exhaustedLook)
		if frames := len(r.broker.Published("up/#")); frames != 1 {
			t.Errorf("%d frames after it began anew", frames)
		}
	})
}

// A record that can never be published is dropped, counted, and does not stop the others.
func TestPoisonIsCommittedPast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPumpRig(t, transporttest.Hooks{}, map[string]Route{})
		defer r.stop()
		rotten := binary.BigEndian.AppendUint64([]byte{0xff}, 1)
		for _, p := range [][]byte{rotten, record.Stored{Encoding: wire.Hex, Data: make([]byte, 300<<10)}.Append(nil)} {
			if _, err := r.data.Append("rotten", p); err != nil {
				t.Fatal(err)
			}
		}
		r.feed(t, 3, "meter")
		r.waitEmpty(t)
		texts, _ := r.records(t, "meter")
		checkTexts(t, "meter", texts, 3)
		if s := r.data.Status(); s.Poison != 2 || s.Acked < 4 || s.Accepted != s.Acked+s.Poison { // 3 frames, 1 or 2 marks
			t.Fatalf("%+v", s)
		}
		// It is number 3 where a mark came in between.
		if why := r.pump.Why(); !strings.Contains(why, `2 records could not be published`) ||
			!strings.Contains(why, `number 2 of "rotten"`) && !strings.Contains(why, `number 3 of "rotten"`) {
			t.Fatalf("%q", why)
		}
		if got := string(r.broker.Published("up/rotten")[0].Payload); !strings.Contains(got, `"reason":"poison"}`) {
			t.Fatal(got)
		}
	})
}

// An error of the message itself is not one of the session: it costs the record, not the processor.
func TestATopicThatMQTTDoesNotAllowIsPoison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPumpRig(t, transporttest.Hooks{}, map[string]Route{"bad": {Topic: "up/#/bad", Cause: transport.CauseData}})
		defer r.stop()
		r.feed(t, 3, "bad", "meter")
		r.waitEmpty(t)
		texts, _ := r.records(t, "meter")
		checkTexts(t, "meter", texts, 3)
		if s := r.data.Status(); s.Poison < 4 || s.Acked != 3 { // three frames, and the marks of their gaps
			t.Fatalf("%+v", s)
		}
	})
}

func TestPumpDrainsAtTheStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPumpRig(t, transporttest.Hooks{}, map[string]Route{
			"meter": {Topic: "up/meter", Batch: Batching{Frames: 1000, Delay: time.Hour, Bytes: 32 << 10},
				Cause: transport.CauseData},
		})
		<-r.link.Ready()
		r.feed(t, 30, "meter")
		synctest.Wait()
		r.stop()
		texts, _ := r.records(t, "meter")
		checkTexts(t, "meter", texts, 30)
	})
}
