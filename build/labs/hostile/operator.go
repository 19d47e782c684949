package hostile

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// ctlEnds is within what linkbeatctl must end by itself, whatever a stranger says.
const ctlEnds = 100 * time.Second

// bomb is what a gateway publishes for an operator who follows it.
type bomb struct {
	name    string
	topic   string
	payload func() []byte
}

func bombs() []bomb {
	return []bomb{
		{"tail: 32 KB of gzip with zeros", "meter/gz", func() []byte { return gzipped(1<<25, []byte("0")) }},
		{"tail: gzip of empty arrays, 3 GB when decoded", "meter/gz", func() []byte { return gzipped(1<<25, []byte("[],")) }},
		{"tail: gzip of records without end", "meter/gz", func() []byte { return gzipped(1<<24, []byte("{},")) }},
		{"tail: gzip of one string", "meter/gz", func() []byte {
			return gzippedOf([]byte(`{"epoch":"a","seq":1,"ts":1,"text":"`), 1<<27, []byte("a"))
		}},
		{"tail: a bomb for each of many names", "meter-%d/gz", func() []byte { return gzipped(1<<24, []byte("{},")) }},
		{"tail: arrays in arrays", "meter", func() []byte { return bytes.Repeat([]byte("["), 200<<10) }},
		{"tail: gaps of all numbers", "meter", func() []byte {
			return []byte(`[{"epoch":"a","seq":1,"ts":1,"gap":{"from":1,"to":18446744073709551615,"reason":"full"}}]`)
		}},
	}
}

func gzipped(n int, unit []byte) []byte { return gzippedOf([]byte("["), n, unit) }

// gzippedOf begins as told and goes on with unit until n bytes are reached.
func gzippedOf(begin []byte, n int, unit []byte) []byte {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
	_, _ = z.Write(begin)
	block := bytes.Repeat(unit, 1<<16)
	for done := 0; done < n; done += len(block) {
		_, _ = z.Write(block)
	}
	_ = z.Close()
	return b.Bytes()
}

// operator shows what strangers can do to linkbeatctl's memory and patience.
func (l lab) operator() error {
	broker, err := l.Broker(kit.BrokerOptions{})
	if err != nil {
		return err
	}
	quiet := &atomic.Bool{}
	jobs := []func() error{
		func() error { return l.fleetThatNeverRests(broker) },
		func() error { return l.headersForCtl(quiet) },
	}
	if l.o.Full {
		jobs = append(jobs, func() error { return l.floodForCtl(broker) })
	}
	for i, b := range bombs() {
		if i == 0 || i == 2 || l.o.Full {
			jobs = append(jobs, func() error { return l.bomb(broker, b, i) })
		}
	}
	return kit.SideBySide(2, jobs)
}

// ctlRun is linkbeatctl as a child, watched until it ends; one that does not end is told to after at most lasts.
func (l lab) ctlRun(name string, lasts time.Duration, argv ...string) (most float64, took time.Duration, p *kit.Proc, err error) {
	p, err = l.StartProc(name, "", nil, append([]string{l.ctl}, argv...)...)
	if err != nil {
		return 0, 0, nil, err
	}
	most = watch(l.Env, p, lasts)
	took = time.Since(p.Started)
	return most, took, p, nil
}

func (l lab) bomb(b *kit.Broker, x bomb, i int) error {
	id := fmt.Sprint("gw-bomb-", i)
	stranger, err := l.Collect(kit.CollectOptions{URL: b.URL(), ID: id})
	if err != nil {
		return err
	}
	p, err := l.StartProc(id, "", nil, l.ctl, "tail", id, "--server", b.URL())
	if err != nil {
		return err
	}
	l.Sleep(300 * time.Millisecond) // subscribed; a bomb that comes before is sent again below
	payload := x.payload()
	quit := make(chan struct{})
	var saying sync.WaitGroup
	saying.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-quit:
				return
			case <-time.After(100 * time.Millisecond):
			}
			topic := "lb/" + id + "/up/data/" + x.topic
			if strings.Contains(topic, "%d") {
				topic = fmt.Sprintf(topic, n)
			}
			if err := stranger.Publish(l.Ctx, topic, false, payload); err != nil {
				return
			}
		}
	})
	most := watch(l.Env, p, l.o.Flood)
	// What is healthy beside it still comes through.
	good := `{"seq":1,"ts":1795208591123,"epoch":"3f2a9c1e","text":"HEALTHY"}`
	if err := stranger.Publish(l.Ctx, "lb/"+id+"/up/data/good", false, good); err != nil {
		return err
	}
	through := l.Until("a frame beside the bombs", 3*time.Second, func() bool {
		return strings.Contains(p.Tail(1<<20),
			"HEALTHY")
	})
	close(quit)
	saying.Wait()
	began := time.Now()
	_ = p.Signal(syscall.SIGINT)
	_, endErr := p.Exit(10 * time.Second)
	l.t.AtMost(x.name+": peak memory of linkbeatctl", most, ctlMost, "MiB")
	l.t.Check(x.name+": a healthy frame comes through", through)
	l.t.Check(x.name+": ends when told", endErr)
	l.Logf("%s: %.0f MiB, ended after %.2f s", x.name, most, time.Since(began).Seconds())
	return nil
}

// fleetThatNeverRests has 120 gateways whose info changes all the time: `devices` must end although something is always new.
func (l lab) fleetThatNeverRests(b *kit.Broker) error {
	const gateways = 120
	fleet, err := l.Collect(kit.CollectOptions{URL: b.URL(), ID: "fleet"})
	if err != nil {
		return err
	}
	topic := func(i int, what string) string { return fmt.Sprintf("live/gw-%03d/up/%s", i, what) }
	for i := range gateways {
		const form = `{"online":true,"session":7,"epoch":"3f2a9c1e","since":1795208591123,"version":"v1","server":"s%d"}`
		if err := fleet.Publish(l.Ctx, topic(i, "state"), true, fmt.Sprintf(form, i)); err != nil {
			return err
		}
	}
	ctx, stop := context.WithCancel(l.Ctx)
	var saying sync.WaitGroup
	defer saying.Wait()
	defer stop()
	saying.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			_ = fleet.Publish(ctx, topic(n%gateways, "info"), true, fmt.Sprintf(`{"interval_s":%d,"facts":{"n":"%d"}}`,
				n%100+20, n))
		}
	})
	most, took, p, err := l.ctlRun("devices-live", ctlEnds, "devices", "--server", b.URL(), "--prefix", "live")
	if err != nil {
		return err
	}
	const name = "devices, 120 gateways that always have something new"
	l.t.AtMost(name+": peak memory of linkbeatctl", most, ctlMost, "MiB")
	l.t.Check(name+": ends", ended(p, took))
	l.t.AtLeast(name+": gateways listed", float64(strings.Count(p.Tail(1<<20), "gw-")), gateways, "")
	p.Kill()
	return nil
}

func ended(p *kit.Proc, took time.Duration) error {
	if p.Running() {
		return fmt.Errorf("it still runs after %.0f s", took.Seconds())
	}
	return nil
}

// headersForCtl is a server of WebSockets that never ends its headers.
func (l lab) headersForCtl(quiet *atomic.Bool) error {
	addr, err := listen(l.Env, "127.0.0.1:0", func(c net.Conn) {
		if _, _, err := request(c); err == nil {
			endlessHeaders(c, quiet)
		}
	})
	if err != nil {
		return err
	}
	most, took, p, err := l.ctlRun("ctl-headers", ctlEnds, "devices", "--server", "ws://"+addr)
	if err != nil {
		return err
	}
	l.t.AtMost("devices, endless headers over ws: peak memory of linkbeatctl", most, ctlMost, "MiB")
	l.t.Check("devices, endless headers over ws: ends", ended(p, took))
	p.Kill()
	return nil
}

// floodForCtl is a broker that has ten thousand gateways with long names and sends messages that nobody retained.
func (l lab) floodForCtl(b *kit.Broker) error {
	m, err := between(l.Env, b.Host(), nil)
	if err != nil {
		return err
	}
	long := strings.Repeat("x", 30<<10)
	m.say = func(write func([]byte) bool, _ <-chan struct{}) {
		forever(write, func(n int) []byte {
			return publish(fmt.Sprintf("lb/gw-%d/up/info", n), fmt.Appendf(nil, `{"interval_s":20,"facts":{"a":"%s"}}`, long),
				true, 0)
		})
	}
	most, took, p, err := l.ctlRun("ctl-flood", ctlEnds, "devices", "--server", "mqtt://"+m.Addr)
	if err != nil {
		return err
	}
	l.t.AtMost("devices, a broker that retains gateways without end: peak memory of linkbeatctl", most, ctlMost, "MiB")
	l.t.Check("devices, a broker that retains gateways without end: ends", ended(p, took))
	p.Kill()
	return nil
}
