package transport

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/transport/codec"
	"github.com/linkbeat/linkbeat/transport/transporttest"
)

// kicks is what `make lab-uplink` takes over from the test below.
type kicks struct {
	How               string // when the broker hangs up
	Runs, Calm, Worst int    // Calm: runs with at most mostAttempts
}

const (
	kickRuns     = 100
	kickedFor    = 10 * time.Minute
	mostAttempts = 10
)

// A broker that accepts us and hangs up at once, because of a second gateway with our id or a limit of connections, sees few
// attempts, whatever was drawn.
func TestKickedAtOnceIsNoStorm(t *testing.T) {
	var all []kicks
	for _, how := range []string{"after CONNACK", "after the first PUBLISH"} {
		k := kicks{How: how, Runs: kickRuns}
		for i := range kickRuns {
			n := kicked(t, how, rand.New(rand.NewPCG(uint64(i), 7)).Float64)
			if k.Worst = max(k.Worst, n); n <= mostAttempts {
				k.Calm++
			}
		}
		if k.Calm < kickRuns*99/100 {
			t.Errorf("%s: %d of %d runs had at most %d attempts in %v; the worst had %d", how, k.Calm, k.Runs, mostAttempts,
				kickedFor, k.Worst)
		}
		all = append(all, k)
	}
	dir := os.Getenv("LAB_UPLINK")
	if dir == "" {
		return
	}
	b, err := json.Marshal(all)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "kick.json"), b, 0o600)
	}
	if err != nil {
		t.Error(fmt.Errorf("the figures: %w", err))
	}
}

// kicked counts the attempts of one link.
func kicked(t *testing.T, how string, draw func() float64) (attempts int) {
	t.Helper()
	hangUp := func(string, transporttest.Message) transporttest.Answer { return transporttest.HangUp }
	o := rigOptions{a: transporttest.Hooks{OnPublish: hangUp}, tweak: func(o *Options) { o.Rand = draw }}
	if how != "after CONNACK" {
		inBubble(t, o, func(r *rig) {
			r.sleep(kickedFor)
			attempts = connects(r.a)
		})
		return attempts
	}
	o.later = true
	o.tweak = func(o *Options) { o.Rand, o.Servers = draw, []Server{{URL: "mqtt://c"}} }
	inBubble(t, o, func(r *rig) {
		l, err := r.net.Listen("c:1883")
		if err != nil {
			r.Fatal(err)
		}
		go func() { // ends with the network
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				attempts++
				_, _ = c.Read(make([]byte, 1024))
				_, _ = c.Write([]byte{codec.TypeConnack << 4, 2, 0, 0})
				_ = c.Close()
			}
		}()
		r.start()
		r.sleep(kickedFor)
	})
	return attempts
}
