package transport

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linkbeat/linkbeat/transport/codec"
	"github.com/linkbeat/linkbeat/transport/faults"
	"github.com/linkbeat/linkbeat/transport/netdial"
	"github.com/linkbeat/linkbeat/transport/transporttest"
)

// witness is an observer that remembers.
type witness struct {
	mu       sync.Mutex
	out, in  []byte // kinds
	skips    []string
	parts    int
	err      error
	hide     byte // a kind that the library must not see
	overDone chan struct{}
}

func (w *witness) writing(codec.Outbound) Cause { return CauseData }

func (w *witness) wrote(o codec.Outbound, _ Cause, _ int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		w.out = append(w.out, o.Kind)
	}
}

func (w *witness) arrived(h codec.Header, _ []byte, _ int) (bool, Cause, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.in = append(w.in, h.Kind)
	return h.Kind != w.hide, CauseData, nil
}

func (w *witness) progress() { w.parts++ }

func (w *witness) isAccepted() bool { return true }

func (w *witness) skipped(_ codec.Header, topic string, _ uint16) { w.skips = append(w.skips, topic) }

func (w *witness) ended(err error) { w.err = err; close(w.overDone) }

var connectPacket = []byte("\x10\x0d\x00\x04MQTT\x04\x00\x00\x00\x00\x01x")

// connPair is a conn and the server's end of it.
func connPair(o Options, silence time.Duration) (*conn, *witness, *transporttest.Conn) {
	client, server := transporttest.Pipe()
	w := &witness{overDone: make(chan struct{})}
	raw := netdial.NewMeter(client, &netdial.Counter{}, CauseData)
	return newConn(&netdial.Stream{Conn: raw, Raw: raw}, w, o.withDefaults(), o.withDefaults().Keepalive,
		func() time.Duration { return silence }), w, server
}

func TestPingGoesBetweenPackets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w, server := connPair(Options{Keepalive: 99 * time.Second}, 0)
		go c.writer()
		got := make(chan []byte)
		go func() { all, _ := io.ReadAll(server); got <- all }()
		if _, err := c.Write(connectPacket); err != nil {
			t.Fatal(err)
		}
		publish := append([]byte("\x30\x83\x80\x01\x00\x01a"), make([]byte, 16384)...)
		synctest.Wait()
		want := bytes.Clone(connectPacket)
		want[11] = 99
		for range 5 {
			c.ping()
			synctest.Wait()
			if _, err := c.Write(publish); err != nil {
				t.Fatal(err)
			}
			want = append(append(want, 0xc0, 0), publish...)
		}
		_ = c.Close()
		if all := <-got; !bytes.Equal(all, want) {
			t.Errorf("%d bytes arrived, want %d in order", len(all), len(want))
		}
		if <-w.overDone; !errors.Is(w.err, faults.ErrEnded) || string(w.out) != "\x01\x0c\x03\x0c\x03\x0c\x03\x0c\x03\x0c\x03" {
			t.Errorf("over: %v; out: %x", w.err, w.out)
		}
	})
}

func TestStuckWriteEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w, server := connPair(Options{DetectWithin: 6 * time.Second, MaxPacket: 1 << 20}, 0)
		defer server.Close()
		go c.writer()
		start := time.Now()
		_, _ = c.Write(connectPacket)
		publish := append([]byte("\x30\x83\x80\x08\x00\x01a"), make([]byte, 131072)...)
		c.ping() // waits for the lock behind it
		_, err := c.Write(publish)
		if !errors.Is(err, faults.ErrEnded) || time.Since(start) != 6*time.Second || !errors.Is(w.err, os.ErrDeadlineExceeded) {
			t.Errorf("%v after %v: %v", err, time.Since(start), w.err)
		}
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, faults.ErrEnded) || errors.Is(err, net.ErrClosed) {
			t.Errorf("Read: %v", err)
		}
		if _, err := c.Write(publish); !errors.Is(err, faults.ErrEnded) {
			t.Errorf("Write: %v", err)
		}
	})
}

func TestReadWatchdog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w, server := connPair(Options{}, 10*time.Second)
		defer server.Close()
		start := time.Now()
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, faults.ErrEnded) || time.Since(start) != 10*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if f := faults.Of(w.err, time.Now()); f.Kind != faults.OutcomeSilence {
			t.Errorf("fault: %+v", f)
		}
	})
}

func TestReadHandsOutWholePackets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w, server := connPair(Options{}, 0)
		w.hide = codec.TypePuback
		long := append([]byte("\x30\x83\x80\x04\x00\x01a"), make([]byte, 65536)...)
		go func() {
			_, _ = server.Write([]byte("\x20\x02\x00\x00\x40\x02\x00\x07\xd0"))
			_, _ = server.Write([]byte("\x00"))
			_, _ = server.Write(long)
			_ = server.Close()
		}()
		all, err := io.ReadAll(c)
		if want := append([]byte("\x20\x02\x00\x00\xd0\x00"), long...); !bytes.Equal(all, want) ||
			!errors.Is(err, faults.ErrEnded) {
			t.Errorf("%d bytes, %v", len(all), err)
		}
		if string(w.in) != "\x02\x04\x0d\x03" || w.parts < 3 || !errors.Is(w.err, io.EOF) {
			t.Errorf("in %x, %d parts, over: %v", w.in, w.parts, w.err)
		}
	})
}
