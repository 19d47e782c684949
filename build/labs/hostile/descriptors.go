package hostile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// descriptorLimit is the agent's RLIMIT_NOFILE here, and how many connections strangers hold at each of its doors.
const descriptorLimit = 1024

// againAfter is how soon a stranger who was sent away is back.
const againAfter = time.Second

// holding are strangers who hold connections, each in a way of its own, and come back when they are sent away.
type holding struct {
	network, addr string
	now, most     atomic.Int64 // connections held
	came          atomic.Int64 // in sum
}

// hold begins one of them for each number below n.
func (h *holding) hold(ctx context.Context, all *sync.WaitGroup, n int) {
	for i := range n {
		all.Go(func() {
			for ctx.Err() == nil {
				h.once(ctx, i)
				select {
				case <-ctx.Done():
				case <-time.After(againAfter):
				}
			}
		})
	}
}

// once connects and stays: silent, in the middle of a request, or with an answer that is never read.
func (h *holding) once(ctx context.Context, i int) {
	c, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, h.network, h.addr)
	if err != nil {
		return
	}
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	defer c.Close()
	h.came.Add(1)
	if n := h.now.Add(1); n > h.most.Load() {
		h.most.Store(n)
	}
	defer h.now.Add(-1)
	words := []string{"", "GET /status HTTP/1.1\r\nHost: x\r\nX-Slow: ",
		strings.Repeat("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 50)}
	_, _ = io.WriteString(c, words[i%len(words)])
	if i%len(words) == 2 { // reads nothing: it only sees that it was sent away by what it writes
		for ctx.Err() == nil {
			time.Sleep(200 * time.Millisecond)
			_ = c.SetWriteDeadline(time.Now().Add(time.Second))
			if _, err := io.WriteString(c, "\r\n"); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				return
			}
		}
		return
	}
	_, _ = io.Copy(io.Discard, c)
}

// asked is what came of asking /healthz again and again.
type asked struct {
	n, unanswered int
	slowest       time.Duration
	first         string // that was not answered
}

// healthz asks over a connection of its own each time.
func (a *asked) healthz(ctx context.Context, network, addr string) {
	c := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		}}}
	began := time.Now()
	r, err := c.Get("http://127.0.0.1/healthz")
	if ctx.Err() != nil {
		return
	}
	if err == nil {
		_ = r.Body.Close()
		if r.StatusCode != http.StatusOK {
			err = errors.New(r.Status)
		}
	}
	a.n++
	a.slowest = max(a.slowest, time.Since(began))
	if err != nil {
		a.unanswered++
		if a.first == "" {
			a.first = fmt.Sprintf("after %d that were: %v", a.n-1, err)
		}
	}
}

// descriptors has strangers hold more connections than the agent may have descriptors, at its page and at its socket.
func (l lab) descriptors() error {
	s, err := l.Site(kit.SiteOptions{ID: "gw-descriptors", Devices: []string{"meter"}})
	if err != nil {
		return err
	}
	s.Agent.Use("sh", "-c", fmt.Sprintf(`ulimit -n %d; exec "$@"`, descriptorLimit), "sh", l.agent)
	if err := s.Agent.StartUp(); err != nil {
		return err
	}
	pid := s.Agent.Proc().Pid()
	const name = "1,024 descriptors held by strangers: "
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	if err == nil && !strings.Contains(strings.Join(strings.Fields(string(limits)), " "), "open files 1024 1024") {
		err = fmt.Errorf("%s", limits)
	}
	l.t.Check(name+"the agent's own limit is 1,024", err)
	before := descriptorsOf(pid)
	ctx, stop := context.WithCancel(l.Ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer stop()
	doors := []*holding{{network: "tcp", addr: s.Agent.HTTP}, {network: "unix", addr: s.Agent.Socket()}}
	for _, d := range doors {
		d.hold(ctx, &all, descriptorLimit)
	}
	l.Sleep(2 * againAfter) // each has come once at least
	answers, said, most := l.besideHolders(s, doors, l.o.Flood)
	l.t.AtLeast(name+"connections at once, at both doors", float64(doors[0].most.Load()+doors[1].most.Load()), descriptorLimit,
		"")
	for i, d := range doors {
		a := answers[i]
		l.t.AtLeast(name+"connections over "+d.network+", in sum", float64(d.came.Load()), descriptorLimit, "")
		l.t.Info(name+"connections over "+d.network+", at once", float64(d.most.Load()), "")
		l.t.Exactly(name+"/healthz over "+d.network+", unanswered", a.unanswered, 0, fmt.Sprint("of ", a.n), a.first)
		l.t.Within(name+"/healthz over "+d.network+", slowest", a.slowest.Seconds(), 2, "s")
	}
	l.t.AtMost(name+"open in the agent", float64(most), 200, "")
	l.t.Check(name+"linkbeat reconnect finds it, and it dials anew", l.dialsAnew(s))
	got := map[string]bool{}
	_ = l.Until("the frames", 10*time.Second, func() bool {
		texts(s.Books.Arrivals(s.Agent.Topic("up/data/meter")), got)
		return len(got) == said
	})
	l.t.Exactly(name+"frames lost", said-len(got), 0, fmt.Sprint("of ", said), "")
	l.t.AtMost(name+"peak memory of the agent", peak(pid), agentMost, "MiB")
	stop()
	all.Wait()
	left := 0
	_ = l.Until("the descriptors to be as before", 15*time.Second, func() bool {
		left = descriptorsOf(pid) - before
		return left <= 0
	})
	l.t.AtMost(name+"descriptors more than before, after it", float64(left), 0, "")
	return s.Agent.Term()
}

// besideHolders asks at each door and says frames meanwhile; most is how many descriptors the agent had open at once.
func (l lab) besideHolders(s *kit.Site, doors []*holding, lasts time.Duration) (answers []asked, said, most int) {
	answers = make([]asked, len(doors))
	for end := time.Now().Add(lasts); time.Now().Before(end) && l.Ctx.Err() == nil; l.Sleep(20 * time.Millisecond) {
		if _, err := fmt.Fprintf(s.Ttys["meter"], "frame %d\n", said); err == nil {
			said++
		}
		for i, d := range doors {
			answers[i].healthz(l.Ctx, d.network, d.addr)
		}
		most = max(most, descriptorsOf(s.Agent.Proc().Pid()))
	}
	return answers, said, most
}

// dialsAnew asks for what needs new descriptors: another connection to the broker.
func (l lab) dialsAnew(s *kit.Site) error {
	connects := s.Broker.Connects("gw-descriptors")
	out, err := l.onTerminal(10*time.Second, l.agent, "reconnect", "--socket", s.Agent.Socket())
	if err == nil {
		err = l.Until("another CONNECT", 10*time.Second, func() bool { return s.Broker.Connects("gw-descriptors") > connects })
	}
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}
