package serialport

import (
	"errors"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/serialport/porttest"
)

func TestTheDriverOfALineIsOnFromBeforeTheFirstByteUntilTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		line := porttest.NewDriver()
		p := porttest.NewPort(ErrGone)
		p.OnWrite = func(b []byte, _ time.Time) (int, error) {
			line.Note("byte")
			return min(1, len(b)), nil
		}
		p.OnDrain = func(time.Time) error { time.Sleep(20 * time.Millisecond); line.Note("drained"); return nil }
		d, err := NewHalfDuplex(p, line, RS485{Mode: RS485RTS, Before: 2 * time.Millisecond, After: 3 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		until := time.Now().Add(time.Second)
		for range 2 {
			if _, err := d.Write([]byte("x"), until); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.Drain(until); err != nil {
			t.Fatal(err)
		}
		// stuck: it stays on while bytes leave, and goes off with what is dropped
		if _, err := d.Write([]byte("y"), until); err != nil {
			t.Fatal(err)
		}
		p.OnDrain = func(time.Time) error { return os.ErrDeadlineExceeded }
		if err := d.Drain(until); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
		if err := errors.Join(d.Discard(), d.Close()); err != nil {
			t.Error(err)
		}
		want := []string{"0 listen", "0 send", "2 byte", "2 byte", "22 drained", "25 listen", "25 send", "27 byte", "27 listen",
			"27 listen", "27 close"}
		if !slices.Equal(line.Log, want) {
			t.Errorf("\n got %q\nwant %q", line.Log, want)
		}
	})
}

// closing is a port that is closed while a writer is on the way to it.
type closing struct {
	*porttest.Port
	meanwhile func()
}

func (c closing) Close() error { c.meanwhile(); return c.Port.Close() }

func TestAWriteThatComesWithCloseLeavesTheDriverOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		line := porttest.NewDriver()
		p := closing{Port: porttest.NewPort(ErrGone)}
		var d *HalfDuplex
		p.meanwhile = func() {
			if _, err := d.Write([]byte("x"), time.Time{}); !errors.Is(err, os.ErrClosed) {
				t.Errorf("a write behind Close: %v", err)
			}
		}
		d = &HalfDuplex{Port: &p, dir: line}
		if err := errors.Join(d.Close(), d.Close()); err != nil {
			t.Error(err)
		}
		if want := []string{"0 listen", "0 close", "0 close"}; !slices.Equal(line.Log, want) {
			t.Errorf("\n got %q\nwant %q", line.Log, want)
		}
	})
}
