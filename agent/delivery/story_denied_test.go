package delivery_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/linkbeat/linkbeat/agent/delivery"
	"github.com/linkbeat/linkbeat/transport"
	"github.com/linkbeat/linkbeat/transport/brokertest"
)

const patience = 30 * time.Second

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	end := time.After(patience)
	for !is() {
		select {
		case <-end:
			t.Fatalf("not seen: %s", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// memory is that of a gateway, over restarts of it.
type memory struct {
	mu  sync.Mutex
	all map[string]map[string]string
}

func (m *memory) Verdicts(login string) (map[string]string, time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.all[login]), time.Now()
}

func (m *memory) KeepVerdicts(login string, all map[string]string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all[login] = all
}

// logged is the log of a keeper. Safe for concurrent use.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// gateway is a link with its keeper.
type gateway struct {
	*delivery.Keeper
	link *transport.Link
	log  logged
	stop func()
}

func topicOf(class, name string) transport.EchoTopic {
	return transport.EchoTopic{Class: class, Topic: "lb/gw-1/up/" + name, Other: "lb/gw-1-p0/up/" + name}
}

func start(t *testing.T, addr, user string, m *memory) *gateway {
	t.Helper()
	link, err := transport.New(transport.Options{ClientID: "gw-1", StateTopic: "lb/gw-1/up/state",
		Servers: []transport.Server{{URL: transport.URL("mqtt://" + addr), Username: user}},
		State: func(online bool, s transport.Session) []byte {
			return fmt.Appendf(nil, `{"online":%v,"session":%d,"since":%d}`, online, s.Number, s.Since.UnixNano())
		}})
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{link: link}
	g.Keeper = delivery.New(delivery.Options{Link: link.Trials(), Memory: m, State: topicOf("state", "state"),
		Probe: "lb/gw-1/dn/probe/0",
		Topics: []transport.EchoTopic{topicOf("data", "data/meter"), topicOf("data", "data/pump"), topicOf("info", "info"),
			topicOf("state", "state")},
		Gone:      func(string) (transport.EchoTopic, bool) { return transport.EchoTopic{}, false },
		Advice:    delivery.Advice{ID: "gw-1", Prefix: "lb"},
		Exhausted: func() bool { return false },
		Backlog: func() delivery.Backlog {
			return delivery.Backlog{Bytes: 50_000, Most: 64 << 20, Records: map[string]int64{
				topicOf("data", "data/meter").Topic: 400, topicOf("data", "data/pump").Topic: 38}}
		},
		Log: zerolog.New(&g.log)})
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { _ = link.Run(ctx) })
	all.Go(func() { _ = g.Run(ctx) })
	g.stop = sync.OnceFunc(func() { cancel(); all.Wait() })
	t.Cleanup(g.stop)
	return g
}

func (g *gateway) holds(name string) bool { return g.Held("lb/gw-1/up/" + name) }

// settled waits until there is a verdict for each class.
func (g *gateway) settled(t *testing.T, want string) {
	t.Helper()
	until(t, want, func() bool {
		v := g.Verdicts()
		return v["data"]+" "+v["info"]+" "+v["state"] == want
	})
}

// A subscription that is granted and that nothing comes on: mosquitto does that with what its rules do not let us read. All that
// goes up arrives, and no command does.
func TestCommandsThatDoNotArrive(t *testing.T) {
	for name, c := range map[string]struct{ rules, mended string }{
		"no rule for dn": {"user gw-1\ntopic readwrite lb/gw-1/up/#\ntopic write lb/gw-1/dn/probe/+\n",
			"user gw-1\ntopic readwrite lb/gw-1/#\n"},
		"patterns": {"pattern readwrite lb/%u/up/#\npattern write lb/%u/dn/probe/+\n",
			"pattern readwrite lb/%u/up/#\npattern write lb/%u/dn/probe/+\npattern read lb/%u/dn/#\n"},
		"another one's": {"user gw-1\ntopic readwrite lb/gw-1/up/#\ntopic write lb/gw-1/dn/probe/+\ntopic read lb/gw-2/dn/#\n",
			"user gw-1\ntopic readwrite lb/gw-1/up/#\ntopic write lb/gw-1/dn/probe/+\ntopic read lb/gw-1/dn/#\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broker := brokertest.Start(t, brokertest.ACL(c.rules))
			g := start(t, broker.Addr(), "gw-1", &memory{all: map[string]map[string]string{}})
			until(t, "a sentence", func() bool { return g.Why() != "" })
			const why = `commands may not reach this gateway: the server accepts what user "gw-1" publishes to ` +
				`lb/gw-1/dn/probe/0, and does not deliver it back; let it read lb/gw-1/dn/#: ` +
				`linkbeatctl acl --for mosquitto --id gw-1 prints the rules`
			if !strings.HasPrefix(g.Why(), why) || g.holds("data/meter") ||
				strings.Count(g.log.String(), "commands may not reach") != 1 {
				t.Errorf("why %q, log %s", g.Why(), g.log.String())
			}
			broker.Rule(c.mended)
			g.Again()
			until(t, "that all is well", func() bool {
				return g.Why() == "" && strings.Contains(g.log.String(), "commands arrive")
			})
		})
	}
}

// TestRulesThatDoNotFit is the example: rules by user name, and a user that is not the gateway's id. A person mends them.
func TestRulesThatDoNotFit(t *testing.T) {
	t.Parallel()
	broker := brokertest.Start(t, brokertest.ACL("pattern readwrite lb/%u/#\n"))
	kept := &memory{all: map[string]map[string]string{}}
	g := start(t, broker.Addr(), "meters", kept)
	g.settled(t, "denied denied denied")
	if !g.holds("data/meter") || !g.holds("data/pump") || !g.Denied("lb/gw-1/up/info") {
		t.Error("not held")
	}
	const why = `the server's access rules refuse lb/gw-1/up/data/meter and 3 more topics to user "meters": 438 records wait ` +
		`(400 for lb/gw-1/up/data/meter, 38 for lb/gw-1/up/data/pump); allow it: linkbeatctl acl --for mosquitto --id gw-1 --user meters prints the rules`
	if !strings.HasPrefix(g.Why(), why) || g.Doubt() != "" {
		t.Errorf("why %q\nwant %q\ndoubt %q", g.Why(), why, g.Doubt())
	}
	if log := g.log.String(); strings.Count(log, `"level":"error"`) != 1 || !strings.Contains(log, "reason 0x87") {
		t.Error(log)
	}
	g.stop()

	g = start(t, broker.Addr(), "meters", kept) // it holds from the first moment of a session
	until(t, "a session", func() bool { _, up := g.link.Trials().Using(); return up })
	if !g.holds("data/meter") || g.Why() == "" {
		t.Error("a restart has forgotten what is denied")
	}
	broker.Rule("user meters\ntopic readwrite lb/gw-1/#\n")
	until(t, "an end of it", func() bool { // the broker says nowhere when it goes by the new ones
		g.Again()
		<-time.After(200 * time.Millisecond)
		return g.Why() == ""
	})
	g.settled(t, "ok ok ok")
	if g.holds("data/meter") || g.holds("data/pump") || g.Why() != "" {
		t.Errorf("not released: %q", g.Why())
	}
}

// TestOneDeviceIsDenied: the other is published.
func TestOneDeviceIsDenied(t *testing.T) {
	t.Parallel()
	broker := brokertest.Start(t, brokertest.ACL("user gw-1\ntopic readwrite lb/gw-1/#\ntopic deny lb/gw-1/up/data/pump\n"))
	g := start(t, broker.Addr(), "gw-1", &memory{all: map[string]map[string]string{}})
	g.settled(t, "denied ok ok")
	if g.holds("data/meter") || !g.holds("data/pump") ||
		!strings.HasPrefix(g.Why(), `the server's access rules refuse lb/gw-1/up/data/pump to user "gw-1": 38 records wait; `) {
		t.Errorf("%q", g.Why())
	}
}

// TestAHealthyBrokerIsAskedOnce: no sentence, and no byte at a reconnect or a restart.
func TestAHealthyBrokerIsAskedOnce(t *testing.T) {
	t.Parallel()
	for name, rules := range map[string]string{"open": "user gw-1\ntopic readwrite #\n", "by user": "pattern readwrite lb/%u/#\n",
		"old rules": "pattern write lb/%u/up/#\npattern readwrite lb/%u/dn/#\npattern read lb/%u/up/state\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broker, kept := brokertest.Start(t, brokertest.ACL(rules)), &memory{all: map[string]map[string]string{}}
			g := start(t, broker.Addr(), "gw-1", kept)
			g.settled(t, "ok ok ok")
			spent := g.link.Status().Bytes.Probe
			if g.Why()+g.Doubt() != "" || spent == 0 || strings.Contains(g.log.String(), "level") {
				t.Errorf("why %q, doubt %q, %d bytes, log %s", g.Why(), g.Doubt(), spent, g.log.String())
			}
			t.Logf("%d bytes of trials", spent)
			broker.Stop()
			broker.Again()
			until(t, "another session", func() bool { u, up := g.link.Trials().Using(); return up && u.Number == 2 })
			g.Connected()
			<-time.After(100 * time.Millisecond)
			if g.holds("data/meter") || g.link.Status().Bytes.Probe != spent {
				t.Errorf("asked again at a reconnect: %d bytes", g.link.Status().Bytes.Probe)
			}
			g.stop()
			g = start(t, broker.Addr(), "gw-1", kept)
			until(t, "a session", func() bool { _, up := g.link.Trials().Using(); return up })
			<-time.After(100 * time.Millisecond)
			if g.holds("data/meter") || g.link.Status().Bytes.Probe != 0 {
				t.Errorf("asked again after a restart: %d bytes", g.link.Status().Bytes.Probe)
			}
		})
	}
}

// TestNobodyCanTell: a broker that says nothing; what is published goes on, and the sentence says what would help.
func TestNobodyCanTell(t *testing.T) {
	t.Parallel()
	broker := brokertest.Start(t, brokertest.ACL("pattern readwrite lb/%u/#\n"))
	addr := brokertest.Front{Old: true}.Listen(t, broker.Addr())
	g := start(t, addr, "meters", &memory{all: map[string]map[string]string{}})
	g.settled(t, "unknown unknown unknown")
	const doubt = "nobody can tell whether the server delivers lb/gw-1/up/data/meter"
	if g.holds("data/meter") || g.Why() != "" || !strings.HasPrefix(g.Doubt(), doubt) {
		t.Errorf("why %q, doubt %q", g.Why(), g.Doubt())
	}
}
