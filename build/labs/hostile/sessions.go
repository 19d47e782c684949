package hostile

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
	"github.com/linkbeat/linkbeat/transport"
)

const (
	sessionsSeed = 13
	workers      = 48 // links that meet malformed servers side by side
	// A link is given up after a while, and another one begins: it would wait for ever longer between two such sessions.
	shortLife, longLife = 400 * time.Millisecond, 4 * time.Second
	stuck               = 30 * time.Second // a link that was told to end and has not
)

// sessions lets links of this process meet servers that say what [malformed] makes up, over loopback's TCP, and then looks for
// what they left: goroutines, descriptors. A panic anywhere ends the laboratory.
func (l lab) sessions() error {
	runtime.GC()
	goroutines, descriptors := runtime.NumGoroutine(), descriptorsOf(os.Getpid())
	srv, err := newMalformedServer(l.Env)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(l.Ctx)
	defer stop()
	var running sync.WaitGroup
	for i := range workers {
		running.Go(func() { srv.work(ctx, i) })
	}
	err = l.Until(fmt.Sprint(l.o.Sessions, " malformed sessions"), 10*time.Minute, func() bool {
		return srv.met.Load() >= int64(l.o.Sessions) || srv.stuck.Load() > 0
	})
	stop()
	running.Wait()
	err = errors.Join(err, srv.ln.Close())
	srv.serving.Wait()
	l.t.AtLeast("malformed sessions", float64(srv.met.Load()), float64(l.o.Sessions), "")
	l.t.Exactly("malformed sessions: links that got stuck", int(srv.stuck.Load()), 0, "", "")
	l.t.Info("malformed sessions: the longest lasted", time.Duration(srv.slowest.Load()).Seconds(), "s")
	l.t.Exactly("malformed sessions: panics", 0, 0, "", "") // one would have ended this process
	more := func() (int, int) {
		return runtime.NumGoroutine() - goroutines, descriptorsOf(os.Getpid()) - descriptors
	}
	_ = l.Until("goroutines and descriptors to be as before", 10*time.Second, func() bool {
		g, d := more()
		return g <= 0 && d <= 0
	})
	g, d := more()
	l.t.AtMost("malformed sessions: goroutines more than before", float64(g), 0, "")
	l.t.AtMost("malformed sessions: descriptors more than before", float64(d), 0, "")
	return err
}

// malformedServer serves every connection with a malformed session of its own.
type malformedServer struct {
	ln      net.Listener
	certs   *kit.Certs
	conf    *tls.Config
	serving sync.WaitGroup

	met, slowest, stuck atomic.Int64 // sessions; how long the longest lasted, in ns; links that did not end
}

func newMalformedServer(e *kit.Env) (s *malformedServer, err error) {
	s = &malformedServer{}
	if s.certs, err = e.Certs(); err != nil {
		return nil, err
	}
	if s.conf, err = serverTLS(s.certs); err != nil {
		return nil, err
	}
	if s.ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	s.serving.Go(func() {
		for {
			c, err := s.ln.Accept()
			if err != nil {
				return
			}
			n := s.met.Add(1)
			s.serving.Go(func() { s.serve(c, uint64(n)) })
		}
	})
	return s, nil
}

func (s *malformedServer) serve(c net.Conn, n uint64) {
	defer c.Close()
	began := time.Now()
	_ = c.SetDeadline(began.Add(3 * time.Second))
	(&malformed{rand: rand.New(rand.NewPCG(sessionsSeed, n)), conf: s.conf}).serve(c)
	s.slowest.Store(max(s.slowest.Load(), int64(time.Since(began))))
}

// work runs one link after the other until ctx is done.
func (s *malformedServer) work(ctx context.Context, worker int) {
	luck := rand.New(rand.NewPCG(sessionsSeed, uint64(worker)<<32))
	for n := 0; ctx.Err() == nil && s.stuck.Load() == 0; n++ {
		life := time.Duration(luck.Int64N(int64(2 * shortLife)))
		if n%10 == 9 {
			life = longLife
		}
		living, end := context.WithTimeout(ctx, life)
		ended := make(chan struct{})
		go func() { s.link(living, worker); close(ended) }()
		<-living.Done()
		select {
		case <-ended:
		case <-time.After(stuck):
			s.stuck.Add(1)
		}
		end()
	}
}

// link meets the server, with something that always waits to be sent, until ctx is done.
func (s *malformedServer) link(ctx context.Context, i int) {
	server := transport.Server{TLS: transport.TLSOptions{CAFile: s.certs.CA}}
	setURL(&server.URL, scheme(i)+s.ln.Addr().String())
	link, err := transport.New(transport.Options{ClientID: fmt.Sprint("gw-", i), StateTopic: "lb/gw/up/state",
		Servers: []transport.Server{server}, DetectWithin: 2 * time.Second, Interval: time.Second, Keepalive: 2 * time.Second,
		State:   func(bool, transport.Session) []byte { return []byte("{}") },
		Backoff: transport.Backoff{Min: time.Millisecond, Max: 2 * time.Millisecond, Refused: 2 * time.Millisecond}})
	if err != nil {
		panic(err) // of the laboratory's own options
	}
	link.Handle("lb/gw/dn/#", func(transport.Message, bool) {})
	var running sync.WaitGroup
	running.Go(func() { _ = link.Run(ctx) })
	running.Go(func() {
		for ctx.Err() == nil {
			_, _ = link.Publish(ctx, transport.Message{Topic: "lb/gw/up/data/x", Payload: []byte("x"), QoS: 1})
		}
	})
	running.Wait()
}

// setURL sets a field that holds a URL, whatever its type is called.
func setURL[T ~string](field *T, url string) { *field = T(url) }

func scheme(i int) string {
	return []string{"mqtt://", "mqtt://", "ws://", "mqtts://", "wss://", "mqtt://"}[i%6]
}

func descriptorsOf(pid int) int {
	all, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return len(all)
}
