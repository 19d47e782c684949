package agent

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/agent/gate"
	"github.com/linkbeat/linkbeat/agent/wire"
	"github.com/linkbeat/linkbeat/config"
	"github.com/linkbeat/linkbeat/transport"
	"github.com/linkbeat/linkbeat/transport/brokertest"
)

// port is a serial server with one device.
type port struct {
	net.Listener
	mu    sync.Mutex
	conns []net.Conn
	lines int
}

func newPort(t *testing.T) *port {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &port{Listener: l}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.mu.Lock()
			p.conns = append(p.conns, c)
			p.mu.Unlock()
		}
	}()
	t.Cleanup(func() { _ = l.Close() })
	return p
}

// say writes n lines more, each another one, to whoever opened the port last.
func (p *port) say(t *testing.T, n int) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for range n {
		if _, err := fmt.Fprintf(p.conns[len(p.conns)-1], "line %d\n", p.lines); err != nil {
			t.Fatal(err)
		}
		p.lines++
	}
}

func (p *port) opened() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns)
}

// reader counts what comes at a broker, by topic and line.
type reader struct {
	mu   sync.Mutex
	came map[string]map[string]int
}

func readAll(t *testing.T, addr string) *reader {
	t.Helper()
	r := &reader{came: map[string]map[string]int{}}
	link, err := transport.New(transport.Options{ClientID: "reader",
		Servers: []transport.Server{{URL: transport.URL("mqtt://" + addr), Username: "reader"}}})
	if err != nil {
		t.Fatal(err)
	}
	link.Handle("lb/gw-7/up/data/+", func(m transport.Message, _ bool) {
		records, _ := wire.ParseRecords(m.Payload)
		r.mu.Lock()
		defer r.mu.Unlock()
		name := m.Topic[strings.LastIndex(m.Topic, "/")+1:]
		if r.came[name] == nil {
			r.came[name] = map[string]int{}
		}
		for _, rec := range records {
			if rec.Text != nil {
				r.came[name][*rec.Text]++
			}
		}
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = link.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	<-link.Ready()
	return r
}

// got is how many lines of a device came, and how often one came again.
func (r *reader) got(name string) (lines, again int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range r.came[name] {
		lines, again = lines+1, again+n-1
	}
	return lines, again
}

// gateway is an agent that can be stopped and started again.
type gateway struct {
	*testing.T
	dir, file string
	where     gate.Where
	log       *syncBuffer
	stop      func()
}

func (g *gateway) start() {
	g.Helper()
	a := New(Options{Version: "1", Log: io.Writer(g.log), Runtime: g.dir, Load: func() (config.Booted, error) {
		return config.Boot(config.BootOptions{File: g.file})
	}})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx, nil) }()
	g.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			g.Errorf("%v\n%s", err, g.log)
		}
	})
	g.Cleanup(func() { g.stop() })
}

func (g *gateway) until(what string, is func() bool) {
	g.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); !is(); <-tick.C {
		if time.Now().After(end) {
			s, err := g.where.Status(g.Context())
			g.Fatalf("not seen: %s: %+v, %v\n%s", what, s, err, g.log)
		}
	}
}

// why is what the agent says is wrong.
func (g *gateway) why() string {
	s, err := g.where.Status(g.Context())
	if err != nil {
		return ""
	}
	return s.Why
}

// One topic is denied by a real broker: its frames wait, over a restart, and the other device's flow. When the rules are mended
// and a person says reconnect, they arrive. Each frame arrives once.
func TestADeniedDeviceWaitsAndOthersFlow(t *testing.T) {
	t.Parallel()
	const deny = "topic deny lb/gw-7/up/data/pump\n"
	rules := "user reader\ntopic read #\nuser gw-7\ntopic readwrite lb/gw-7/#\n"
	broker := brokertest.Start(t, brokertest.ACL(rules+deny))
	from, meter, pump := readAll(t, broker.Addr()), newPort(t), newPort(t)
	dir := t.TempDir()
	g := &gateway{T: t, dir: t.TempDir(), file: filepath.Join(dir, "linkbeat.yaml"), log: &syncBuffer{}}
	state := filepath.Join(dir, "state")
	g.where = gate.Where{Sockets: gate.Sockets(g.dir, state), StateDir: state, Sure: true}
	doc := fmt.Sprintf("device: {id: gw-7}\nstate_dir: %s\nhttp: {listen: \"\"}\n"+
		"uplink: {username: gw-7, servers: [{url: \"mqtt://%s\"}]}\n"+
		"serial: {meter: {port: \"tcp://%s\", frame: {type: line}}, pump: {port: \"tcp://%s\", frame: {type: line}}}\n",
		state, broker.Addr(), meter.Addr(), pump.Addr())
	if err := os.WriteFile(g.file, []byte(doc), 0o600); err != nil {
		t.Fatal(err)
	}
	arrived := func(name string, n int) func() bool {
		return func() bool { lines, _ := from.got(name); return lines == n }
	}
	for life := 1; life <= 2; life++ {
		g.start()
		g.until("both ports open", func() bool { return meter.opened() == life && pump.opened() == life })
		for range 5 {
			meter.say(t, 10)
			pump.say(t, 10)
			<-time.After(20 * time.Millisecond)
		}
		g.until("the meter's frames", arrived("meter", 50*life))
		want := fmt.Sprintf(`the server's access rules refuse lb/gw-7/up/data/pump to user "gw-7": `+
			`%d records wait; allow it`, 50*life)
		g.until(want, func() bool { return strings.HasPrefix(g.why(), want) })
		g.until("nothing but the pump's frames waits", func() bool {
			s, err := g.where.Status(t.Context())
			return err == nil && s.Spool.Waiting == int64(50*life) && s.Spool.Acked == 50
		})
		if lines, _ := from.got("pump"); lines != 0 {
			t.Fatalf("%d of the pump came, which is denied", lines)
		}
		if life == 1 {
			g.stop()
		}
	}
	if n := strings.Count(g.log.String(), "the server's access rules refuse"); n != 1 { // the second life knew
		t.Errorf("said %d times in the log:\n%s", n, g.log)
	}
	broker.Rule(rules)
	g.until("the pump's frames", func() bool { // the broker says nowhere when it goes by the new ones
		if _, err := g.where.Reconnect(t.Context()); err != nil {
			t.Error(err)
		}
		for range 50 {
			if <-time.After(100 * time.Millisecond); arrived("pump", 100)() {
				return true
			}
		}
		return false
	})
	g.until("an end of it", func() bool { return !strings.Contains(g.why(), "access rules") })
	g.stop()
	for _, name := range []string{"meter", "pump"} {
		if lines, again := from.got(name); lines != 100 || again != 0 {
			t.Errorf("%s: %d lines came, %d again", name, lines, again)
		}
	}
}
