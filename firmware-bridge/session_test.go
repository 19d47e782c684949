package bridge

import (
	"bytes"
	"context"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/framing"
	"github.com/linkbeat/linkbeat/firmware-bridge/serialport"
	"github.com/linkbeat/linkbeat/firmware-bridge/serialport/porttest"
)

// What is whole and only waits for a silence, or behind a false start, is a frame when the port is lost or the agent stops; of
// idle without a checksum one cannot know whether it is whole, see TestHalfAFrameIsNoneWhenWeCloseThePort.
func TestTheEndOfASessionLosesNoWholeFrame(t *testing.T) {
	rtcm := framing.Spec{Type: "length", Header: []byte{0xd3}, Offset: 1, Width: 2, Mask: 0x03ff, Checksum: "crc24q"}
	for name, c := range map[string]struct {
		spec  framing.Spec
		noise string
	}{
		"idle":       {framing.Spec{Type: "idle", Gap: time.Second, Checksum: "sum8"}, ""},
		"modbus_rtu": {framing.Spec{Type: "modbus_rtu"}, ""},
		"length":     {rtcm, "\xd3\x03\xff"},
	} {
		for _, how := range []string{"lost", "stopped"} {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, func(o *Options) { o.Framing = c.spec })
				p := b.plug()
				b.start()
				frame := "\x01\x06\x00\x01\x00\x02"
				line, err := b.dev.encode([]byte(frame))
				if err != nil {
					t.Fatal(err)
				}
				p.In <- append([]byte(c.noise), line...)
				synctest.Wait()
				b.wantFrames()
				if how == "lost" {
					b.unplug()
				}
				b.stop()
				b.wantFrames(frame)
				if s := b.balance(); s.Bad != int64(len(c.noise)) || s.Pending != 0 || s.Framed != 1 {
					t.Errorf("%s, %s: %+v", name, how, s)
				}
			})
		}
	}
}

// A megabyte in which every sixteenth byte may begin a frame of up to as much would be searched for a minute and more.
func TestAStopDoesNotWaitForASearch(t *testing.T) {
	p := porttest.NewPort(serialport.ErrGone)
	dev, err := New(Options{Name: "meter", Port: "/dev/fake",
		Open:    func(context.Context, string, serialport.Line) (serialport.Port, error) { return p, nil },
		Framing: framing.Spec{Type: "length", Width: 3, Checksum: "crc16/modbus", Max: 1 << 20},
		OnFrame: func(Frame) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- dev.Run(ctx) }()
	r := rand.New(rand.NewPCG(1, 2))
	noise := bytes.Repeat([]byte{0x0f, 0xff, 0x00}, 300<<10) // it begins with a length that is almost the longest
	for i := range noise {
		noise[i] ^= byte(r.Uint32()) & 0x0f
	}
	p.In <- noise
	porttest.Eventually(t, "the noise to be read", func() bool { return dev.Status().Read == int64(len(noise)) })
	cancel()
	began := time.Now()
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		t.Fatal("still searching")
	}
	s := dev.Status()
	t.Logf("stopped after %v, %+v", time.Since(began), s)
	if s.Pending != 0 || s.Read != s.InFrames+s.Delimiters+s.Bad {
		t.Errorf("%+v", s)
	}
}

// counting is a port whose driver counts errors, and forgets them when it is closed.
type counting struct {
	*porttest.Port
	errors int64
}

func (c *counting) LineErrors() (serialport.LineErrors, bool) {
	select {
	case <-c.Closed():
		return serialport.LineErrors{}, true
	default:
		return serialport.LineErrors{Framing: c.errors}, true
	}
}

func TestErrorsOfALineAddUpThoughNobodyAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ports []*counting
		for _, errors := range []int64{3, 4, 0} {
			ports = append(ports, &counting{porttest.NewPort(serialport.ErrGone), errors})
		}
		b := newBench(t, nil)
		opened := 0
		b.dev.o.Open = func(context.Context, string, serialport.Line) (serialport.Port, error) {
			opened++
			return ports[opened-1], nil
		}
		b.start()
		for _, p := range ports[:2] {
			p.HangUp()
			pass(time.Minute)
		}
		if s := b.balance(); s.Line == nil || s.Line.Framing != 7 || s.Opens != 3 {
			t.Errorf("%+v, %+v", s.Line, s)
		}
		b.stop()
	})
}
