package heartbeat

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linkbeat/linkbeat/transport/transporttest"
)

// The rules of the table.
const (
	headers      = 52          // IPv4, TCP, timestamps
	record       = 22          // of TLS 1.3, around each write
	opening      = 7 * 52      // SYN, SYN+ACK, ACK; FIN, FIN, two ACKs
	tlsResumed   = 1150 + 4*52 // ClientHello with a ticket, ServerHello up to Finished, Finished, a new ticket
	latency      = 30 * time.Millisecond
	tooLate      = 2 * time.Second
	ceiling      = 19 * time.Minute // limits above count as this for ours and the oracle
	floor        = 20 * time.Second
	detectWithin = 60 * time.Second
	aftermath    = 5 * time.Minute
	deviceID     = "gw"
	cmdTopic     = "lb/gw/dn/cmd/x/write"
	cmdFilter    = "lb/gw/dn/cmd/+/write"
)

// weather is what else happens on a path.
type weather int

const (
	clean   weather = iota
	lossy           // 5 % of all packets vanish
	outages         // of 10 s to 10 min, every 2 h
)

func (w weather) String() string { return [...]string{"clean", "5 % loss", "outages"}[w] }

// path is where a policy is tried.
type path struct {
	limit     time.Duration
	behaviour transporttest.Behaviour
	weather   weather
	seed      uint64
	commands  bool
}

func (p path) String() string { return fmt.Sprintf("%v %v %v", p.limit, p.behaviour, p.weather) }

// reachable is the limit as far as it can serve a beat.
func (p path) reachable() time.Duration { return min(p.limit, ceiling) }

// world is a path in a bubble.
type world struct {
	path
	nat    *transporttest.NAT
	broker *transporttest.Broker
	start  time.Time
	rand   *rand.Rand
	ctx    context.Context

	commanded int
	late      int
	troubles  []window // when losses are the weather's

	mu   sync.Mutex
	sent map[string]time.Time // commands on their way; guarded by mu
}

// window is a stretch of bad weather, with the time that it takes to find out, to back off and to dial again.
type window struct{ from, to time.Time }

func (w *world) troubled(at time.Time) bool {
	for _, t := range w.troubles {
		if !at.Before(t.from) && at.Before(t.to) {
			return true
		}
	}
	return false
}

// inWorld runs body in a bubble.
func inWorld(t *testing.T, p path, body func(t *testing.T, w *world)) {
	synctest.Test(t, func(t *testing.T) {
		n := transporttest.NewNetwork()
		w := &world{path: p, start: time.Now(), rand: rand.New(rand.NewPCG(p.seed, uint64(p.limit))),
			sent: map[string]time.Time{}}
		o := transporttest.NATOptions{Idle: p.limit, Behaviour: p.behaviour, Latency: latency, MaxRTO: 10 * time.Second,
			Rand:           w.random,
			RefreshInbound: true} // as the client's kernel acknowledges what comes in
		if p.weather == lossy {
			o.Loss = 0.05
		}
		w.nat, w.broker = transporttest.NewNAT(n, o), transporttest.NewBroker(transporttest.Hooks{})
		l, err := n.Listen("a:1883")
		if err != nil {
			t.Fatal(err)
		}
		w.broker.Serve(l)
		other := transporttest.NewBroker(transporttest.Hooks{})
		if l, err = n.Listen("b:1883"); err != nil {
			t.Fatal(err)
		}
		other.Serve(l)
		ctx, cancel := context.WithCancel(t.Context())
		w.ctx = ctx
		defer func() { cancel(); n.Close(); w.broker.Close(); other.Close() }()
		body(t, w)
	})
}

func (w *world) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return w.nat.Dial(ctx, network, addr)
}

// pass lets time go by in steps, with the weather and the operator's commands in it. each is called after every step.
func (w *world) pass(d, step time.Duration, each func(now time.Time)) {
	end := time.Now().Add(d)
	nextCmd, nextOutage := time.Now().Add(w.between(1000, 7000)), time.Now().Add(2*time.Hour)
	for now := time.Now(); now.Before(end); now = time.Now() {
		if w.commands && !now.Before(nextCmd) {
			w.command(now)
			nextCmd = now.Add(w.between(1000, 7000))
		}
		if w.weather == outages && !now.Before(nextOutage) {
			cut := w.between(10, 600)
			w.nat.Cut(cut)
			w.troubles = append(w.troubles, window{now, now.Add(cut + aftermath)})
			nextOutage = now.Add(2 * time.Hour)
		}
		nap := step
		if w.waiting() {
			nap = min(step, time.Second)
		}
		time.Sleep(nap)
		synctest.Wait()
		w.expire(time.Now())
		if each != nil {
			each(time.Now())
		}
	}
}

func (w *world) between(low, high float64) time.Duration {
	return time.Duration((low + w.random()*(high-low)) * float64(time.Second))
}

// command publishes as an operator would. One that falls into bad weather is not judged.
func (w *world) command(now time.Time) {
	if w.troubled(now) {
		return
	}
	w.commanded++
	id := fmt.Sprint(w.commanded)
	w.mu.Lock()
	w.sent[id] = now
	w.mu.Unlock()
	w.broker.Publish(transporttest.Message{Topic: cmdTopic, Payload: []byte(id), QoS: 1})
}

// heard is called with each command that arrived; everything runs in one bubble, but on several goroutines.
func (w *world) heard(payload []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.sent, string(payload))
}

// random is asked by the NAT and by the link, on their goroutines.
func (w *world) random() float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rand.Float64()
}

// waiting reports whether a command is on its way.
func (w *world) waiting() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.sent) > 0
}

// expire counts the commands that are late.
func (w *world) expire(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, at := range w.sent {
		if w.troubled(now) {
			delete(w.sent, id)
		} else if now.Sub(at) > tooLate {
			w.late++
			delete(w.sent, id)
		}
	}
}

// bytes is what has passed so far on the wire, by the rules of the table.
func (w *world) bytes() int64 {
	c := w.nat.Counters()
	segments := c.UpPackets + c.DownPackets
	return c.UpBytes + c.DownBytes + segments*(record+2*headers) + c.Dials*(opening+tlsResumed)
}
