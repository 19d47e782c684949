package bridge

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/framing"
	"github.com/linkbeat/linkbeat/firmware-bridge/serialport/porttest"
)

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
	dev.locator.every = 2 * time.Millisecond // plugging a hundred times must not take minutes
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	go func() { s.ended <- dev.Run(ctx) }()
	t.Cleanup(s.stop)
	return s
}

func (s *site) stop() {
	s.once.Do(func() {
		s.cancel()
		if err := porttest.Recv(s.t, s.ended, "the end of Run"); err != context.Canceled {
			s.t.Errorf("Run returned %v", err)
		}
		st := s.dev.Status()
		if st.Read != st.InFrames+st.Delimiters+st.Bad || st.Pending != 0 || st.Framed != st.Accepted+st.Refused {
			s.t.Errorf("unbalanced: %+v", st)
		}
	})
}

// plug points the link at a cable, in one step as udev does.
func (s *site) plug(c *porttest.Cable) {
	s.t.Helper()
	next := s.port + ".next"
	if err := os.Symlink(c.Path, next); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(next, s.port); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) wantState(state string) Event {
	s.t.Helper()
	e := porttest.Recv(s.t, s.events, "state "+state)
	if e.State != state {
		s.t.Fatalf("state %s (%s), want %s", e.State, e.Why, state)
	}
	return e
}
