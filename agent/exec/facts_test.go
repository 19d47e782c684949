package exec

import (
	"bytes"
	"context"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/linkbeat/linkbeat/config"
)

func fact(argv ...string) config.Fact { return config.Fact{Command: argv} }

// runFacts runs f in the bubble until the test ends.
func runFacts(t *testing.T, f *Facts) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = f.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
}

func TestFacts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "signal")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("-71 dBm\n")
	var log bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		f := NewFacts(zerolog.New(&log))
		f.Configure(map[string]config.Fact{"modem": fact("echo", "EC25", "rev 7"), "signal": fact("cat", file),
			"none": fact("no-such-command-here")})
		runFacts(t, f)
		f.Await(t.Context())
		check := func(when string, want map[string]string) {
			t.Helper()
			if got := f.Get(); !maps.Equal(got, want) {
				t.Errorf("%s: %v, want %v", when, got, want)
			}
		}
		check("at first", map[string]string{"modem": "EC25 rev 7", "signal": "-71 dBm"})

		write("-90 dBm\n")
		time.Sleep(queryEvery + time.Second)
		check("asked again", map[string]string{"modem": "EC25 rev 7", "signal": "-90 dBm"})

		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		time.Sleep(queryEvery)
		check("no answer is no fact", map[string]string{"modem": "EC25 rev 7"})

		write("-80 dBm\n")
		time.Sleep(queryEvery)
		check("back", map[string]string{"modem": "EC25 rev 7", "signal": "-80 dBm"})

		f.Configure(map[string]config.Fact{"signal": fact("cat", file), "os": fact("echo", "Linux")})
		if got := f.Get(); got["signal"] != "-80 dBm" || got["modem"] != "" {
			t.Errorf("reloaded: %v: what did not change stays, what went is gone", got)
		}
		time.Sleep(time.Second)
		check("and the new one is asked at once", map[string]string{"signal": "-80 dBm", "os": "Linux"})

		f.Configure(nil)
		check("none", nil)
	})
	for key, want := range map[string]int{"device.facts.none failed": 1, "device.facts.signal failed": 1,
		"device.facts.modem": 0} {
		if n := strings.Count(log.String(), key); n != want {
			t.Errorf("%q is said %d times, want %d: %s", key, n, want, &log)
		}
	}
}

func TestNobodyWaitsLongForFacts(t *testing.T) {
	for name, c := range map[string]struct {
		wanted map[string]config.Fact
		run    bool
		want   time.Duration
	}{
		"none are wanted":  {nil, true, 0},
		"nobody asks them": {map[string]config.Fact{"modem": fact("true")}, false, factsFirst},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := NewFacts(zerolog.Nop())
				f.Configure(c.wanted)
				if c.run {
					runFacts(t, f)
				}
				start := time.Now()
				f.Await(t.Context())
				if waited := time.Since(start); waited != c.want {
					t.Errorf("waited %v, want %v", waited, c.want)
				}
			})
		})
	}
}
