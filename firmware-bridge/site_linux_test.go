package bridge

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/linkbeat/linkbeat/firmware-bridge/framing"
)

// patience is how long a test waits for what must come; only a broken test waits that long.
const patience = 20 * time.Second

// cable is a pseudo-terminal: the test is the device at its far end, path is the port.
type cable struct {
	far  *os.File
	path string
}

func newCable(t *testing.T) *cable {
	t.Helper()
	far, near, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	path := near.Name()
	if err := near.Close(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = far.Close() })
	return &cable{far, path}
}

// mustOpen opens the near end and closes it after the test.
func (c *cable) mustOpen(t *testing.T) Port {
	t.Helper()
	p, err := Open(t.Context(), c.path, Line{Baud: 115200, Mode: Mode{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// site runs a device on a symbolic link, so that cables can be swapped behind its back.
type site struct {
	t      *testing.T
	port   string
	dev    *Device
	frames chan string
	events chan Event
	cancel context.CancelFunc
	ended  chan error
	once   sync.Once
}

func newSite(t *testing.T, change func(*Options)) *site {
	t.Helper()
	s := &site{t: t, port: filepath.Join(t.TempDir(), "by-id"), frames: make(chan string, 1<<16), events: make(chan Event, 1<<12),
		ended: make(chan error, 1)}
	o := Options{Name: "meter", Port: s.port, Baud: 115200, Framing: framing.Spec{Type: "line"},
		OnFrame: func(f Frame) error { s.frames <- string(f.Data); return nil },
		Notify:  func(e Event) { s.events <- e }}
	if change != nil {
		change(&o)
	}
	dev, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	s.dev = dev
	dev.look = 2 * time.Millisecond // plugging a hundred times must not take minutes
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	go func() { s.ended <- dev.Run(ctx) }()
	t.Cleanup(s.stop)
	return s
}

func (s *site) stop() {
	s.once.Do(func() {
		s.cancel()
		if err := recv(s.t, s.ended, "the end of Run"); err != context.Canceled {
			s.t.Errorf("Run returned %v", err)
		}
		st := s.dev.Status()
		if st.Read != st.InFrames+st.Delimiters+st.Bad || st.Pending != 0 || st.Framed != st.Accepted+st.Refused {
			s.t.Errorf("unbalanced: %+v", st)
		}
	})
}

// plug points the link at a cable, in one step as udev does.
func (s *site) plug(c *cable) {
	s.t.Helper()
	next := s.port + ".next"
	if err := os.Symlink(c.path, next); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(next, s.port); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) wantState(state string) Event {
	s.t.Helper()
	e := recv(s.t, s.events, "state "+state)
	if e.State != state {
		s.t.Fatalf("state %s (%s), want %s", e.State, e.Why, state)
	}
	return e
}

func recv[T any](t testing.TB, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("waited %v for %s", patience, what)
		panic("not reached")
	}
}

// eventually asks until the answer is yes: for what the kernel tells nobody about.
func eventually(t testing.TB, what string, yes func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for !yes() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("waited %v for %s", patience, what)
		}
	}
}

// descriptors lists what this process has open.
func descriptors(t testing.TB) (out []string) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
			out = append(out, fmt.Sprint(e.Name(), " ", to))
		}
	}
	return out
}
