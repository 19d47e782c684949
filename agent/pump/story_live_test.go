package pump

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linkbeat/linkbeat/agent/clock"
	"github.com/linkbeat/linkbeat/agent/record"
	"github.com/linkbeat/linkbeat/agent/spool"
	"github.com/linkbeat/linkbeat/agent/wire"
	"github.com/linkbeat/linkbeat/transport/transporttest"
)

// arrivals is what came at a broker, as it came.
type arrivals struct {
	mu  sync.Mutex
	all []arrival
}

type arrival struct {
	topic string
	at    time.Time
	wire.Record
}

// after is how long after it was read it came.
func (a arrival) after() time.Duration { return a.at.Sub(time.UnixMilli(a.TS)) }

func (a *arrivals) take(_ string, m transporttest.Message) transporttest.Answer {
	records, err := wire.ParseRecords(m.Payload)
	if err != nil {
		return transporttest.Take
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range records {
		a.all = append(a.all, arrival{m.Topic, time.Now(), r})
	}
	return transporttest.Take
}

// of is what came on a topic, late or not.
func (a *arrivals) of(topic string, late bool) (some []arrival) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range a.all {
		if r.topic == topic && r.Late == late {
			some = append(some, r)
		}
	}
	return some
}

// judge wants n frames of each device once, but for the given number that may come again; the late in order, and the others.
func (a *arrivals) judge(t *testing.T, n, again int, devices ...string) {
	t.Helper()
	for _, d := range devices {
		came := map[string]int{}
		for _, late := range []bool{false, true} {
			last := map[string]uint64{}
			for _, r := range a.of("up/"+d, late) {
				if r.Gap != nil {
					continue
				}
				if came[*r.Text]++; came[*r.Text] > 1 {
					again--
				} else if r.Seq < last[r.Epoch] {
					t.Fatalf("%s: %d after %d, both late: %v", d, r.Seq, last[r.Epoch], late)
				}
				last[r.Epoch] = r.Seq
			}
		}
		for i := range n {
			if came[fmt.Sprintf("%s %d", d, i)] == 0 {
				t.Fatalf("%s %d did not come", d, i)
			}
		}
	}
	if again < 0 {
		t.Fatalf("%d came again that may not", -again)
	}
}

// pacedAt has the backlog of the data lane wait, and go at so many bytes a second; 0: as nothing is known of the path.
func pacedAt(rate int64, spread float64) func(p *Pump) {
	return func(p *Pump) {
		p.pace = &pacer{fixed: rate, spread: func() float64 { return spread }, rate: func() int64 { return 0 }}
		p.lanes[1].paced = true
	}
}

// diskSpool is a spool in dir, with the defaults.
func diskSpool(t *testing.T, dir string, o spool.Options) *spool.Spool {
	t.Helper()
	s, err := spool.Open(spool.Dir(dir), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// away takes the broker away for some time, and waits until there is a session again.
func (r *pumpRig) away(t *testing.T, d time.Duration) {
	t.Helper()
	r.broker.Close()
	time.Sleep(d)
	listener, err := r.net.Listen("broker:1883")
	if err != nil {
		t.Fatal(err)
	}
	r.broker.Serve(listener)
	<-r.link.Ready()
}

// read appends a frame of each device every so often, until it is told to stop; it says how many of each.
func (r *pumpRig) read(t *testing.T, every time.Duration, devices ...string) (stop func() int) {
	ended, n := make(chan struct{}), make(chan int)
	go func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-ended:
				n <- i
				return
			case <-tick.C:
			}
			for _, d := range devices {
				frame := record.Stored{Encoding: wire.Text, Stamp: clock.Stamp{Wall: time.Now().UnixMilli()},
					Data: fmt.Appendf(nil, "%s %d", d, i)}
				if _, err := r.data.Append(d, frame.Append(nil)); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	return func() int { close(ended); return <-n }
}

// Broker away: what is read then is there at once, beside a backlog that goes at its rate, each in order, nothing lost and
// nothing twice.
func TestWhatIsReadNowIsNotHeldUp(t *testing.T) {
	for _, c := range []struct {
		away   time.Duration
		rate   int   // lines a second
		replay int64 // bytes a second
		batch  bool
	}{
		{40 * time.Second, 20, 0, false}, {40 * time.Second, 200, 0, false}, {40 * time.Second, 200, 0, true},
		{10 * time.Minute, 20, 0, false}, {3 * time.Minute, 200, 256 << 10, false}, // lab-delivered waits ten
	} {
		t.Run(fmt.Sprintf("%v at %d, %d", c.away, c.rate, c.replay), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				data := diskSpool(t, t.TempDir(), spool.Options{WriteAfter: 5 * time.Second, Sync: time.Second})
				defer data.Close()
				var got arrivals
				table, flown := map[string]Route{}, testWindow // what was in flight when it went
				if c.batch {
					flown *= 50
					table["meter"] = Route{Topic: "up/meter", Batch: Batching{Frames: 50, Delay: 500 * time.Millisecond,
						Bytes: 32 << 10}}
				}
				r := newPumpRigOver(t, data, transporttest.Hooks{OnPublish: got.take}, table, pacedAt(c.replay, 0.5))
				defer r.stop()
				<-r.link.Ready()
				stop := r.read(t, time.Second/time.Duration(c.rate), "meter")
				time.Sleep(10 * time.Second)
				r.away(t, c.away)
				up, backlog := time.Now(), data.Status().Waiting
				for now := time.Now(); data.Status().Waiting > 100 || time.Since(now) < 10*time.Second; {
					time.Sleep(time.Second)
					if time.Since(now) > time.Hour {
						t.Fatalf("%+v", data.Status())
					}
				}
				through := time.Since(up)
				n := stop()
				r.waitEmpty(t)
				got.judge(t, n, flown, "meter")
				var live []time.Duration
				for _, a := range got.of("up/meter", false) {
					if a.TS >= up.UnixMilli() {
						live = append(live, a.after())
					}
				}
				slices.Sort(live)
				if first := live[0]; first > time.Second || live[len(live)*99/100] > 2*time.Second {
					t.Errorf("first after %v, of %d live ones 99 %% within %v", first, len(live), live[len(live)*99/100])
				}
				rate := cmp.Or(c.replay, paceMost)
				bytes := backlog * int64(len("meter 12345")+50+paceExtra)
				if most := 35*time.Second + time.Duration(bytes*int64(time.Second)/rate); through > most {
					t.Errorf("%d of a backlog took %v, at %d B/s at most %v", backlog, through, rate, most)
				}
			})
		})
	}
}

// A record at which the server closes the connection is found, though what is read now is sent in between.
func TestABadRecordInABacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad := func(m transporttest.Message) bool { return len(m.Payload) > 400 }
		r := newPumpRig(t, refuseAt(bad), nil, pacedAt(4<<10, 0.5))
		defer r.stop()
		<-r.link.Ready()
		r.broker.Close()
		r.feed(t, 50, "meter")
		odd := record.Stored{Encoding: wire.Text, Stamp: clock.Stamp{Wall: time.Now().UnixMilli()}, Data: make([]byte, 500)}
		if _, err := r.data.Append("odd", odd.Append(nil)); err != nil {
			t.Fatal(err)
		}
		r.feed(t, 50, "scale")
		r.away(t, time.Minute)
		stop := r.read(t, 50*time.Millisecond, "live")
		start := time.Now()
		for r.data.Status().Poison == 0 {
			time.Sleep(time.Second)
			if time.Since(start) > time.Hour {
				t.Fatalf("%+v", r.data.Status())
			}
		}
		stop()
		r.waitEmpty(t)
		if s := r.data.Status(); s.Poison != 1 || s.Accepted != s.Acked+1 {
			t.Fatalf("%+v", s)
		}
	})
}

// Where the link carries less than is read, neither what is read now nor the backlog waits for the end of the other.
func TestNothingStarves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got arrivals
		slow := func(client string, m transporttest.Message) transporttest.Answer {
			time.Sleep(20 * time.Millisecond) // 50 a second
			return got.take(client, m)
		}
		r := newPumpRig(t, transporttest.Hooks{OnPublish: slow}, nil, pacedAt(1<<20, 0))
		defer r.stop()
		<-r.link.Ready()
		r.broker.Close()
		r.feed(t, 1000, "old")
		r.away(t, time.Minute)
		stop := r.read(t, 10*time.Millisecond, "live") // 100 a second
		time.Sleep(time.Minute)
		live, old := len(got.of("up/live", false)), len(got.of("up/old", true))
		stop()
		if live < 1000 || old < 900 {
			t.Errorf("%d live and %d old ones in a minute of 50 a second", live, old)
		}
	})
}
