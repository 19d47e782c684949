package transport

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/transport/brokertest"
)

// runLink runs l until the test ends.
func runLink(t testing.TB, l *Link) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := l.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

const patience = 30 * time.Second // for anything on loopback: far more than it needs

func awaitUp(t testing.TB, l *Link) {
	t.Helper()
	select {
	case <-l.Ready():
	case <-time.After(patience):
		t.Fatalf("link is not up: %+v", l.Status())
	}
}

func await[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("%s did not come", what)
		panic("unreachable")
	}
}

func stateOf(online bool, s Session) []byte {
	return fmt.Appendf(nil, `{"online":%v,"session":%d,"since":%d}`, online, s.Number, s.Since.UnixMilli())
}

func linkTo(t *testing.T, s ...Server) *Link { return linkWith(t, func(*Options) {}, s...) }

func linkWith(t *testing.T, tweak func(*Options), s ...Server) *Link {
	t.Helper()
	o := Options{ClientID: "gw-1", Servers: s, StateTopic: "lb/gw-1/up/state", State: stateOf, DetectWithin: 4 * time.Second}
	tweak(&o)
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// works publishes over l and hears itself.
func works(t *testing.T, l *Link) {
	t.Helper()
	awaitUp(t, l)
	for range 3 {
		if n, err := l.Publish(t.Context(), Message{Topic: "lb/gw-1/up/data/x", Payload: make([]byte, 50_000), QoS: 1}); n != 1 ||
			err != nil {
			t.Fatalf("%d acknowledged, %v", n, err)
		}
	}
	st := awaitWell(t, l)
	if st.Bytes.Data < 100_000 || st.Bytes.Overhead < 0 || st.Bytes.Handshake <= 0 {
		t.Errorf("ledger: %+v", st.Bytes)
	}
}

// awaitWell waits until the link is up and nothing is wrong: on a busy machine it may just have been late.
func awaitWell(t *testing.T, l *Link) Status {
	t.Helper()
	return awaitStatus(t, l, "nothing is wrong", func(st Status) bool { return st.Why == "" && st.State == StateUp })
}

// awaitWhy waits until Why has all of want.
func awaitWhy(t *testing.T, l *Link, want ...string) {
	t.Helper()
	end := time.After(patience)
	for {
		why, missing := l.Status().Why, ""
		for _, w := range want {
			if !strings.Contains(why, w) {
				missing = w
			}
		}
		if missing == "" {
			return
		}
		select {
		case <-end:
			t.Fatalf("why is %q, want %q in it", why, missing)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func tlsOptions(a *brokertest.Authority, client string) TLSOptions {
	return TLSOptions{CAFile: a.File("ca.crt"), CertFile: a.File(client + ".crt"), KeyFile: a.File(client + ".key")}
}

// again ends the session of l as a network would, and waits for the next.
func again(t *testing.T, l *Link) {
	t.Helper()
	s, ready := l.health.current()
	if s == nil {
		t.Fatal("not up")
	}
	_ = s.stream.Raw.Close()
	for l.Ready() == ready {
		<-time.After(time.Millisecond)
	}
	awaitUp(t, l)
}
