package bridge

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/framing"
)

// A silence ends a frame of type idle. That of a port which is lost is one; that of a port which we close is not the device's.
func TestHalfAFrameIsNoneWhenWeCloseThePort(t *testing.T) {
	for name, c := range map[string]struct {
		sum   string
		lost  bool
		waits time.Duration
		want  []string
	}{
		"we stop":                     {"", false, time.Millisecond, nil},
		"we stop, with a checksum":    {"sum8", false, time.Millisecond, []string{"12"}},
		"we stop, after the silence":  {"", false, 30 * time.Millisecond, []string{"12c"}},
		"the port is lost":            {"", true, time.Millisecond, []string{"12c"}},
		"it is lost, with a checksum": {"sum8", true, time.Millisecond, []string{"12"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, func(o *Options) {
				o.Framing = framing.Spec{Type: "idle", Gap: 20 * time.Millisecond, Checksum: c.sum}
			})
			p := b.plug()
			b.start()
			p.In <- []byte("12c") // c is the sum of the others
			pass(c.waits)
			if c.lost {
				b.unplug()
			}
			b.stop()
			if b.wantFrames(c.want...); t.Failed() {
				t.Log(name)
			}
			if s := b.balance(); len(c.want) == 0 && s.Bad != 3 {
				t.Errorf("%s: %+v", name, s)
			}
		})
	}
}
