package agent

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/linkbeat/linkbeat/agent/spool"
	"github.com/linkbeat/linkbeat/agent/spool/spooltest"
)

// A period of loss is two log lines, however many records it takes, and a sentence while it lasts.
func TestLossesAreSaidOnceAndWhileTheyLast(t *testing.T) {
	for name, c := range map[string]struct {
		when spool.WhenFull
		size int
		why  string
	}{
		"evicted":   {spool.DropOldest, 100, `of "meter" at `},
		"refused":   {spool.DropNewest, 100, "spool is full"},
		"too large": {spool.DropOldest, 4 << 10, "record too large for the spool"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				data, err := spool.Open(spool.Dir(t.TempDir()), spool.Options{MaxBytes: 4 << 10, MemoryBytes: 4 << 10,
					WriteAfter: time.Hour, WhenFull: c.when})
				if err != nil {
					t.Fatal(err)
				}
				defer data.Close()
				var out bytes.Buffer
				l := newLosses(zerolog.New(&out), data, spooltest.Open(t), spooltest.Open(t))
				pass := func(n int) {
					for range n {
						time.Sleep(lossCheck)
						l.look(time.Now())
					}
				}
				pass(10)
				if l.why() != "" || out.Len() != 0 {
					t.Fatal("nothing was lost", l.why(), out.String())
				}
				for range 100 {
					_, _ = data.Append("meter", make([]byte, c.size))
					pass(1)
				}
				if why := l.why(); !strings.HasPrefix(why, "spool: ") || !strings.Contains(why, c.why) {
					t.Errorf("%q", why)
				}
				pass(61)
				if why := l.why(); why != "" {
					t.Errorf("over, and says %q", why)
				}
				lines := strings.Split(strings.TrimSpace(out.String()), "\n")
				if len(lines) != 2 || !strings.Contains(lines[0], "are being lost") || !strings.Contains(lines[1], "no longer") ||
					!strings.Contains(lines[1], `"device":"meter"`) {
					t.Errorf("%s", out.String())
				}
			})
		})
	}
}
