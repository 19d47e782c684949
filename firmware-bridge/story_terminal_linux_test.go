package bridge

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/serialport/porttest"
)

func TestBytesInOrderUnderLoadBothWays(t *testing.T) {
	data, err := os.ReadFile("framing/testdata/neo-m8n.log")
	if err != nil {
		t.Fatal(err)
	}
	s, c := newSite(t, nil), porttest.NewCable(t)
	s.plug(c)
	s.wantOpen()

	stopLooking := s.keepBalance()
	var want []string
	const rounds, commands = 40, 500
	go func() { // the device talks as fast as the terminal takes it
		for range rounds {
			if _, err := c.Far.Write(data); err != nil {
				t.Errorf("device: %v", err)
			}
		}
	}()
	for range rounds {
		for l := range strings.Lines(string(data)) {
			want = append(want, strings.TrimRight(l, "\r\n"))
		}
	}
	heard := make(chan string, commands)
	go func() {
		lines := bufio.NewScanner(c.Far)
		for range commands {
			if !lines.Scan() {
				t.Errorf("device: %v", lines.Err())
				return
			}
			heard <- lines.Text()
		}
	}()
	written := make(chan struct{})
	go func() {
		defer close(written)
		done := make(chan error, 1)
		for i := range commands {
			if err := s.dev.Write(fmt.Appendf(nil, "command %d", i), time.Time{}, func(err error) { done <- err }); err != nil {
				t.Errorf("command %d: %v", i, err)
				return
			}
			if err := porttest.Recv(t, done, "a written command"); err != nil {
				t.Errorf("command %d: %v", i, err)
			}
		}
	}()
	for i, w := range want {
		if got := porttest.Recv(t, s.frames, "a frame"); got != w {
			t.Fatalf("frame %d is %q, want %q", i, got, w)
		}
	}
	for i := range commands {
		if got := porttest.Recv(t, heard, "a command"); got != fmt.Sprint("command ", i) {
			t.Fatalf("command %d is %q", i, got)
		}
	}
	porttest.Recv(t, written, "the answer to the last command") // the device has it a moment before
	stopLooking()
	s.stop()
	if st := s.dev.Status(); st.Read != int64(rounds*len(data)) || st.Bad != 0 || st.Accepted != int64(len(want)) {
		t.Errorf("%+v", st)
	}
}

// keepBalance looks at the counters all the time: they must balance at every moment.
func (s *site) keepBalance() (stop func()) {
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			st := s.dev.Status()
			if st.Read != st.InFrames+st.Delimiters+st.Bad+st.Pending || st.Framed != st.Accepted+st.Refused {
				s.t.Errorf("unbalanced: %+v", st)
				return
			}
			select {
			case <-quit:
				return
			default:
				runtime.Gosched()
			}
		}
	}()
	return func() { close(quit); <-ended }
}

// wantOpen waits until the device is open; it may have been absent before.
func (s *site) wantOpen() {
	s.t.Helper()
	if e := porttest.Recv(s.t, s.events, "state open"); e.State == Absent {
		s.wantState(Opened)
	} else if e.State != Opened {
		s.t.Fatalf("%+v", e)
	}
}

func TestUnplugAndReplugAtAnotherNumber(t *testing.T) {
	s := newSite(t, nil)
	s.wantState(Absent)
	for i := range 3 {
		c := porttest.NewCable(t)
		s.plug(c)
		s.wantState(Opened)
		if _, err := fmt.Fprintf(c.Far, "frame %d\ntorn", i); err != nil {
			t.Fatal(err)
		}
		if got := porttest.Recv(t, s.frames, "a frame"); got != fmt.Sprint("frame ", i) {
			t.Errorf("got %q", got)
		}
		porttest.Eventually(t, "the torn frame", func() bool { return s.dev.Status().Pending == 4 })
		if err := os.Remove(s.port); err != nil {
			t.Fatal(err)
		}
		if err := c.Far.Close(); err != nil {
			t.Fatal(err)
		}
		s.wantState(Absent)
		if st := s.dev.Status(); st.Bad != int64(4*(i+1)) || st.Pending != 0 {
			t.Errorf("the torn frame is not counted as bad: %+v", st)
		}
	}
	if st := s.dev.Status(); st.Opens != 3 {
		t.Errorf("%+v", st)
	}
}

func TestAStuckTerminalFailsTheWriteAndIsStillRead(t *testing.T) {
	s, c := newSite(t, func(o *Options) {
		o.WriteTimeout = 100 * time.Millisecond
		o.Framing.Max = 64 << 10
		o.Baud = 4000000
	}), porttest.NewCable(t)
	s.plug(c)
	s.wantOpen()
	done := make(chan error, 1)
	big := strings.Repeat("x", 60<<10) // more than a terminal holds while no program reads
	if err := s.dev.Write([]byte(big), time.Time{}, func(err error) { done <- err }); err != nil {
		t.Fatal(err)
	}
	if err := porttest.Recv(t, done, "the stuck write"); !errors.Is(err, ErrStuck) {
		t.Errorf("stuck write: %v", err)
	}
	if _, err := c.Far.WriteString("alive\n"); err != nil {
		t.Fatal(err)
	}
	if got := porttest.Recv(t, s.frames, "a frame"); got != "alive" {
		t.Errorf("got %q", got)
	}
	heard := make(chan string, 1)
	go func() {
		lines := bufio.NewReaderSize(c.Far, 128<<10)
		for {
			line, err := lines.ReadString('\n')
			if err != nil || strings.HasSuffix(line, "again\n") {
				heard <- line
				return
			}
		}
	}()
	if err := s.dev.Write([]byte("again"), time.Time{}, func(err error) { done <- err }); err != nil {
		t.Fatal(err)
	}
	if err := porttest.Recv(t, done, "the next write"); err != nil {
		t.Errorf("after the device took bytes again: %v", err)
	}
	if line := porttest.Recv(t, heard, "the next command"); len(line) > len(big) {
		t.Errorf("the failed write went out whole (%d bytes)", len(line))
	}
}

func TestAHundredReopensLeakNothing(t *testing.T) {
	s := newSite(t, nil)
	s.wantState(Absent)
	var fds []string
	goroutines := 0
	next := porttest.NewCable(t)
	for i := range 100 {
		c := next
		next = porttest.NewCable(t) // while c is there: the kernel gives the number of a closed one away at once
		s.plug(c)
		s.wantState(Opened)
		done := make(chan error, 1)
		if err := s.dev.Write([]byte("hello"), time.Time{}, func(err error) { done <- err }); err != nil {
			t.Fatal(err)
		}
		if err := porttest.Recv(t, done, "a write"); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(s.port); err != nil {
			t.Fatal(err)
		}
		if err := c.Far.Close(); err != nil {
			t.Fatal(err)
		}
		s.wantState(Absent)
		if i == 0 { // the runtime has opened what it needs
			fds, goroutines = porttest.Descriptors(t), runtime.NumGoroutine()
		}
	}
	if now := porttest.Descriptors(t); len(now) > len(fds) {
		t.Errorf("%d descriptors, %d after the first cycle:\n%s", len(now), len(fds), strings.Join(now, "\n"))
	}
	porttest.Eventually(t, "goroutines to end", func() bool { return runtime.NumGoroutine() <= goroutines })
	if st := s.dev.Status(); st.Opens != 100 || st.Written != 600 {
		t.Errorf("%+v", st)
	}
}

func TestStopWhileADeviceIsStuckIsQuick(t *testing.T) {
	s, c := newSite(t, func(o *Options) { o.WriteTimeout = time.Hour; o.Framing.Max = 1 << 20 }), porttest.NewCable(t)
	s.plug(c)
	s.wantOpen()
	done := make(chan error, 1)
	if err := s.dev.Write([]byte(strings.Repeat("x", 1<<20)), time.Time{}, func(err error) { done <- err }); err != nil {
		t.Fatal(err)
	}
	porttest.Eventually(t, "a full buffer", func() bool { return c.Queued(t) > 0 })
	s.stop()
	if err := porttest.Recv(t, done, "the answer"); !errors.Is(err, ErrLost) {
		t.Errorf("answered %v", err)
	}
}
