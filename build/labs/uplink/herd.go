package uplink

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
	"github.com/linkbeat/linkbeat/transport"
)

const (
	// stableFor is how long the links are up before the restart: what a server closes sooner is a kick, not a restart.
	stableFor  = 65 * time.Second
	herdBack   = time.Minute
	herdShare  = 12.0 // percent of the connects in the fullest second
	herdStart  = 20 * time.Millisecond
	herdDetect = 10 * time.Second
)

// herd is many links in this process, over real TCP to one mosquitto that is restarted.
func herd(links int, down time.Duration) cell {
	name := fmt.Sprintf("%d gateways, broker restarted, %v away", links, down)
	return cell{name, func(e *kit.Env, id string, t *kit.Table) error {
		b, err := e.Broker(kit.BrokerOptions{})
		if err != nil {
			return err
		}
		defer b.Kill()
		h := &flock{ups: make([]int, links)}
		stop, err := h.start(e, id, b.URL())
		if err != nil {
			return err
		}
		defer stop()
		if err := e.Until("all links to be up", herdBack, func() bool { return h.back(0) == links }); err != nil {
			return err
		}
		e.Sleep(stableFor)
		if err := b.Stop(); err != nil {
			return err
		}
		e.Sleep(down)
		mark := h.mark()
		if err := b.Start(); err != nil {
			return err
		}
		started := time.Now()
		err = e.Until("all links to be back", 2*herdBack, func() bool { return h.back(1) == links })
		if err != nil {
			return fmt.Errorf("%w: %d of %d", err, h.back(1), links)
		}
		t.Within(name+": all back", time.Since(started).Seconds(), herdBack.Seconds(), "s")
		second, sliding := h.fullest(mark)
		t.AtMost(name+": connects in the fullest second", 100*float64(second)/float64(links), herdShare, "%")
		t.Info(name+": connects in the fullest 1000 ms, wherever they begin", 100*float64(sliding)/float64(links), "%")
		return nil
	}}
}

// flock keeps the books of many links. Safe for concurrent use.
type flock struct {
	mu  sync.Mutex
	ups []int       // of each link
	at  []time.Time // of every one
}

// start runs the links, one after the other; stop ends them and waits.
func (h *flock) start(e *kit.Env, id, url string) (stop func(), err error) {
	ctx, cancel := context.WithCancel(e.Ctx)
	var wg sync.WaitGroup
	stop = func() { cancel(); wg.Wait() }
	for i := range h.ups {
		l, err := transport.New(transport.Options{
			ClientID: fmt.Sprintf("%s-%d", id, i), Servers: []transport.Server{{URL: transport.URL(url)}},
			DetectWithin: herdDetect, Interval: 2 * herdDetect,
			Backoff: transport.Backoff{Min: time.Second, Max: 10 * time.Second}, Notify: func(v transport.Event) { h.note(i, v) },
		})
		if err != nil {
			stop()
			return nil, err
		}
		wg.Go(func() { _ = l.Run(ctx) }) // ends with ctx
		e.Sleep(herdStart)
	}
	return stop, nil
}

func (h *flock) note(i int, v transport.Event) {
	if v.Kind != transport.EventUp {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ups[i]++
	h.at = append(h.at, time.Now())
}

// back counts the links that were up more than that many times.
func (h *flock) back(than int) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, ups := range h.ups {
		if ups > than {
			n++
		}
	}
	return n
}

func (h *flock) mark() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.at)
}

// fullest is the most connects since the mark in any second of the clock, as a broker's log shows them, and in any 1000 ms.
func (h *flock) fullest(mark int) (second, sliding int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := slices.SortedFunc(slices.Values(h.at[mark:]), time.Time.Compare)
	first, per := 0, map[int64]int{}
	for i, t := range at {
		per[t.Unix()]++
		second = max(second, per[t.Unix()])
		for t.Sub(at[first]) >= time.Second {
			first++
		}
		sliding = max(sliding, i-first+1)
	}
	return second, sliding
}
