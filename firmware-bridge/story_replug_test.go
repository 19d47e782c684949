package bridge

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/discover"
	"github.com/linkbeat/linkbeat/firmware-bridge/discover/discovertest"
)

// fakeUevents is a subscription that a test feeds.
type fakeUevents struct {
	events chan discover.Uevent
	closed chan struct{}
}

func (f *fakeUevents) Next() (discover.Uevent, error) {
	select {
	case e := <-f.events:
		return e, nil
	case <-f.closed:
		return discover.Uevent{}, errors.New("closed")
	}
}

func (f *fakeUevents) Close() error { close(f.closed); return nil }

// hotplug is a bench whose port is found in a sysfs that changes.
type hotplug struct {
	*bench
	sysfs  *discovertest.Sysfs
	finder *discover.Finder
	events *fakeUevents
	stop   func()
}

func newHotplug(t *testing.T, kernel bool) *hotplug {
	h := &hotplug{sysfs: discovertest.NewSysfs(map[string]string{"class/tty/tty1": "→../../devices/virtual/tty/tty1"}),
		events: &fakeUevents{make(chan discover.Uevent), make(chan struct{})}}
	h.finder = discover.NewFinder(discover.FinderOptions{Sysfs: h.sysfs, Listen: func() (discover.Uevents, error) {
		if !kernel {
			return nil, errors.New("not here")
		}
		return h.events, nil
	}})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = h.finder.Run(ctx)
	}()
	h.stop = func() { cancel(); <-ended }
	h.bench = newBench(t, func(o *Options) {
		o.Port, o.Select, o.Finder = "", discover.Selector{Vendor: "0403", Serial: "A"}, h.finder
	})
	return h
}

// show puts an adapter into the tree; the caller tells.
func (h *hotplug) show(tty string) { h.sysfs.Show(discovertest.FTDI(tty, "A")) }

func (h *hotplug) hide(tty string) { h.sysfs.Hide(discovertest.FTDI(tty, "A")) }

func TestAPortIsFoundByWhatIsPluggedInWhateverNumberItGets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHotplug(t, true)
		h.start()
		if s := h.dev.Status(); s.State != Absent || !strings.Contains(s.Port, `serial: "A"`) {
			t.Errorf("%+v", s)
		}
		pass(time.Minute)
		if n := h.attempts(); n > 0 {
			t.Errorf("%d attempts to open what is not there", n)
		}
		for _, tty := range []string{"ttyUSB0", "ttyUSB1", "ttyUSB7"} {
			h.plug()
			h.show(tty)
			h.events.events <- discover.Uevent{Action: "add", Subsystem: "tty"}
			synctest.Wait()
			if s := h.balance(); s.State != Opened || s.Port != "/dev/"+tty {
				t.Fatalf("right after the uevent: %+v", s)
			}
			h.hide(tty)
			h.unplug()
			h.events.events <- discover.Uevent{Action: "remove", Subsystem: "tty"}
			synctest.Wait()
			if s := h.balance(); s.State != Absent {
				t.Errorf("%+v", s)
			}
			pass(time.Hour)
		}
		h.bench.stop()
		h.stop()
	})
}

func TestWithoutUeventsItIsBackWithinASecond(t *testing.T) {
	for _, subscribed := range []bool{false, true} { // a user namespace lets us subscribe, and then no uevent comes
		synctest.Test(t, func(t *testing.T) {
			h := newHotplug(t, subscribed)
			h.start()
			pass(time.Minute)
			h.plug()
			h.show("ttyUSB3")
			pass(time.Second)
			if s := h.balance(); s.State != Opened || s.Port != "/dev/ttyUSB3" {
				t.Errorf("subscribed %v: %+v", subscribed, s)
			}
			h.bench.stop()
			h.stop()
		})
	}
}

func TestADriverThatDoesNotHangUpIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHotplug(t, true)
		p := h.plug()
		h.show("ttyUSB0")
		h.start()
		h.hide("ttyUSB0")
		h.mu.Lock()
		h.port = nil
		h.mu.Unlock()
		h.events.events <- discover.Uevent{Action: "remove", Subsystem: "tty"}
		p.In <- []byte("last words\n") // which were on the way
		pass(time.Second)              // longer than the finder waits for what is on the way
		h.wantFrames("last words")
		if s := h.balance(); s.State != Absent || !strings.Contains(s.Why, "no such device") && !strings.Contains(s.Why, "gone") {
			t.Errorf("%+v", s)
		}
		h.bench.stop()
		h.stop()
	})
}

func TestOtherDevicesThatComeAndGoDisturbNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHotplug(t, true)
		h.plug()
		h.show("ttyUSB0")
		h.start()
		for range 100 {
			h.events.events <- discover.Uevent{Action: "add", Subsystem: "tty"}
			h.events.events <- discover.Uevent{Action: "add", Subsystem: "block"}
		}
		pass(time.Hour)
		if s := h.balance(); s.State != Opened || s.Opens != 1 {
			t.Errorf("%+v", s)
		}
		h.bench.stop()
		h.stop()
	})
}

func TestTwoDevicesOnOnePort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHotplug(t, true)
		h.plug()
		h.show("ttyUSB0")
		h.start()
		second := newBench(t, func(o *Options) {
			o.Name, o.Port, o.Finder = "gps", "/dev/ttyUSB0", h.finder
		})
		second.plug()
		second.start()
		pass(time.Minute)
		if s := second.dev.Status(); s.State != Failed || !strings.Contains(s.Why,
			`/dev/ttyUSB0: is the port of the device "meter"`) {
			t.Errorf("%+v", s)
		}
		if n := second.attempts(); n > 0 {
			t.Errorf("%d opens of a port that is in use", n)
		}
		h.bench.stop()
		pass(faultMax)
		if s := second.dev.Status(); s.State != Opened {
			t.Errorf("after the first one ended: %+v", s)
		}
		second.stop()
		h.stop()
	})
}
