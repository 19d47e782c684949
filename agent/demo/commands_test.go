package demo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linkbeat/linkbeat/transport/transporttest"
)

// Both clients get each command at the same moment; an answer that is late holds up none, and is waited for after the end.
func TestCommandsGoToBoth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var log []string
		begin := time.Now()
		note := func(format string, args ...any) {
			mu.Lock()
			defer mu.Unlock()
			log = append(log, fmt.Sprintf("%v ", time.Since(begin))+fmt.Sprintf(format, args...))
		}
		c := &commands{
			toPlain: func(text string) error { note("plain %s", text); return nil },
			toAgent: func(_ context.Context, text string) error {
				note("agent %s", text)
				if text == commandText(2) { // during a cut
					wait(t.Context(), 2*commandEvery)
					return errors.New("expired")
				}
				return nil
			},
			done: func(text string, took time.Duration, err error) { note("done %s %v %v", text, took, err) },
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*commandEvery+time.Second)
		defer cancel()
		c.start(ctx)
		c.wait()
		slices.Sort(log)
		want := []string{"0s agent command 1", "0s done command 1 0s <nil>", "0s plain command 1",
			"2.5s agent command 2", "2.5s plain command 2", "5s agent command 3", "5s done command 3 0s <nil>",
			"5s plain command 3", "7.5s done command 2 5s expired"}
		if !slices.Equal(log, want) || c.count() != 3 {
			t.Errorf("%d sent: %q", c.count(), log)
		}
	})
}

// The plain client of the demo is a real one, and a real NAT would do this to it: after a silence beyond the limit its
// commands vanish, and nobody is told. The clock of the NAT is the test's.
func TestPlainClientIsForgotten(t *testing.T) {
	b, err := newBroker()
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	var clock atomic.Int64
	nat, err := transporttest.NewRelay(transporttest.RelayOptions{Target: b.addr, Idle: limitLeast,
		Now: func() time.Time { return time.Unix(0, clock.Load()) }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var run sync.WaitGroup
	run.Go(func() { _ = nat.Run(ctx) })
	defer run.Wait()
	defer cancel()
	p, err := newPlain(nat.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	send := func() {
		if err := b.publish(plainTopic, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	until := func(what string, ok func() bool) {
		t.Helper()
		tick, limit := time.NewTicker(time.Millisecond), time.After(20*time.Second)
		defer tick.Stop()
		for !ok() {
			select {
			case <-tick.C:
			case <-limit:
				t.Fatalf("%s: never", what)
			}
		}
	}
	send()
	until("a command arrives", func() bool { return p.arrived.Load() == 1 })
	clock.Add(int64(limitLeast) + 1)
	send()
	until("a command vanishes", func() bool { return nat.Counters().Vanished > 0 })
	if n := p.arrived.Load(); n != 1 || !p.client.IsConnectionOpen() {
		t.Errorf("%d arrived, connected %v: it should believe that all is well", n, p.client.IsConnectionOpen())
	}
}
