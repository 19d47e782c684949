package transport

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/transport/brokertest"
	"github.com/linkbeat/linkbeat/transport/heartbeat"
)

// learningLink is a link to the real broker that learns quickly: up to 3 s, on loopback, where nothing is ever forgotten.
func learningLink(t *testing.T, s Server, tweak func(*Options)) *Link {
	t.Helper()
	o := Options{ClientID: "gw-1",
		Servers: []Server{s}, DetectWithin: 10 * time.Second, Keepalive: 1170 * time.Second, AdaptKeep: true,
		Learning: Learning{Mode: heartbeat.Fast, Min: time.Second, Max: 3 * time.Second, Topic: probeTopic,
			Budget: heartbeat.BudgetOptions{Month: 1 << 20}}}
	if tweak != nil {
		tweak(&o)
	}
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// awaitStatus waits until the status is as wanted.
func awaitStatus(t *testing.T, l *Link, what string, ok func(Status) bool) Status {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(patience); ; {
		if st := l.Status(); ok(st) {
			return st
		}
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("%s: not within %v: %+v", what, patience, l.Status())
		}
	}
}

// settledReal: and the planned re-dial that follows is done.
func settledReal(st Status) bool {
	return st.Heartbeat.Phase == "settled" && st.Redials == 1 && st.State == StateUp
}

// Over TLS with a client certificate: probes resume the session, the kernel tells what they cost, CONNECT is adapted.
func TestMosquittoLearnsOverTLS(t *testing.T) {
	a := brokertest.NewAuthority(t, "ca")
	a.Issue("server", brokertest.OnLoopback)
	a.Issue("gw-1", brokertest.Named("gw-1"))
	for protocol, scheme := range map[string]string{"mqtt": "mqtts", "websockets": "wss"} {
		t.Run(scheme, func(t *testing.T) {
			m := brokertest.Start(t, brokertest.TLS(a, "server", protocol))
			l := learningLink(t, Server{URL: URL(scheme + "://" + m.Addr()), TLS: tlsOptions(a, "gw-1")}, nil)
			runLink(t, l)
			st := awaitStatus(t, l, "settled", settledReal)
			if st.Drops != 0 || st.Interval < 2900*time.Millisecond || st.Heartbeat.Evidence != "inbound" ||
				st.Keepalive != heartbeat.LeastKeepalive {
				t.Errorf("%+v", st)
			}
			if each := st.Heartbeat.Cost / max(1, st.Heartbeat.Sessions); each < 1000 || each > 12_000 {
				t.Errorf("a session costs %d bytes: %+v", each, st.Heartbeat)
			}
		})
	}
}

// mosquitto's acl_file swallows what it denies: the echo finds out, and the beat goes on with pings.
func TestMosquittoDeniesProbes(t *testing.T) {
	m := brokertest.Start(t, func(port int, dir string) string {
		file := filepath.Join(dir, "acl")
		rules := "topic readwrite lb/gw-1/up/#\ntopic read lb/gw-1/dn/#\n"
		if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%sacl_file %s\nuser root\n", brokertest.Plain(port, dir), file)
	})
	l := learningLink(t, Server{URL: URL("mqtt://" + m.Addr())}, func(o *Options) { o.DetectWithin = time.Second })
	runLink(t, l)
	st := awaitStatus(t, l, "weak", func(st Status) bool { return strings.Contains(st.Why, "learning is not possible") })
	if st.Drops != 0 || st.Heartbeat.Proven != 0 {
		t.Errorf("%+v", st)
	}
}

// The pair proves the main link's own flow, and saves its pings.
func TestMosquittoPair(t *testing.T) {
	m := brokertest.Start(t, brokertest.Plain)
	l := learningLink(t, Server{URL: URL("mqtt://" + m.Addr())}, func(o *Options) {
		o.Learning.Canary.Pair = true
		o.Learning.Max = 5 * time.Second // longer than pairLead, or nothing is ever due
	})
	runLink(t, l)
	before := awaitStatus(t, l, "settled", settledReal)
	after := awaitStatus(t, l, "three proofs",
		func(st Status) bool { return st.Heartbeat.Canaries >= before.Heartbeat.Canaries+3 })
	if after.Drops != 0 || after.Heartbeat.Shrinks != 0 || after.Pings > before.Pings+1 {
		t.Errorf("before %+v\nafter %+v", before, after)
	}
}

// What a trial publishes where the main link hears its pair is ours, and no stranger's.
func TestMosquittoPairBesideTrials(t *testing.T) {
	m := brokertest.Start(t, brokertest.Plain)
	l := learningLink(t, Server{URL: URL("mqtt://" + m.Addr())}, func(o *Options) { o.Learning.Canary.Pair = true })
	runLink(t, l)
	awaitUp(t, l)
	for range 20 {
		if _, err := l.Trials().Deliverable(t.Context(), nil, probeTopic(0), EchoTopic{}); err != nil {
			t.Fatal(err)
		}
	}
	if st := l.Status(); st.Bytes.Refused != 0 || st.Why != "" {
		t.Errorf("%+v", st)
	}
}
