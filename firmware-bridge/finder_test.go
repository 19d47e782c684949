package bridge

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"
)

// fakeUevents is a subscription that a test feeds.
type fakeUevents struct {
	events chan uevent
	closed chan struct{}
}

func (f *fakeUevents) Next() (uevent, error) {
	select {
	case e := <-f.events:
		return e, nil
	case <-f.closed:
		return uevent{}, errors.New("closed")
	}
}

func (f *fakeUevents) Close() error { close(f.closed); return nil }

// usbTree is a sysfs with one FTDI adapter that got the name tty.
func usbTree(tty, serial string) map[string]string {
	const dev = "devices/pci0000:00/0000:00:14.0/usb1/1-1"
	return map[string]string{
		"class/tty/" + tty: "→../../" + dev + "/1-1:1.0/" + tty + "/tty/" + tty,
		dev + "/1-1:1.0/" + tty + "/tty/" + tty + "/device": "→../../../" + tty,
		dev + "/1-1:1.0/bInterfaceNumber":                   "00",
		dev + "/idVendor":                                   "0403",
		dev + "/idProduct":                                  "6001",
		dev + "/serial":                                     serial,
	}
}

// hotplug is a bench whose port is found in a sysfs that changes.
type hotplug struct {
	*bench
	sysfs  fstest.MapFS
	finder *Finder
	events *fakeUevents
	stop   func()
}

func newHotplug(t *testing.T, kernel bool) *hotplug {
	h := &hotplug{sysfs: tree(map[string]string{"class/tty/tty1": "→../../devices/virtual/tty/tty1"}),
		events: &fakeUevents{make(chan uevent), make(chan struct{})}}
	h.finder = NewFinder(FinderOptions{Sysfs: h.sysfs})
	h.finder.listen = func() (uevents, error) {
		if !kernel {
			return nil, errors.New("not here")
		}
		return h.events, nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = h.finder.Run(ctx)
	}()
	h.stop = func() { cancel(); <-ended }
	h.bench = newBench(t, func(o *Options) {
		o.Port, o.Select, o.Finder = "", Selector{Vendor: "0403", Serial: "A"}, h.finder
	})
	return h
}

// show puts an adapter into the tree; the caller tells.
func (h *hotplug) show(tty string) {
	h.finder.mu.Lock() // under which it reads
	defer h.finder.mu.Unlock()
	for name, file := range tree(usbTree(tty, "A")) {
		h.sysfs[name] = file
	}
}

func (h *hotplug) hide(tty string) {
	h.finder.mu.Lock()
	defer h.finder.mu.Unlock()
	for name := range usbTree(tty, "A") {
		delete(h.sysfs, name)
	}
}

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
			h.events.events <- uevent{"add", "tty"}
			synctest.Wait()
			if s := h.balance(); s.State != Opened || s.Port != "/dev/"+tty {
				t.Fatalf("right after the uevent: %+v", s)
			}
			h.hide(tty)
			h.unplug()
			h.events.events <- uevent{"remove", "tty"}
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
		h.events.events <- uevent{"remove", "tty"}
		p.in <- []byte("last words\n") // which were on the way
		pass(2 * goneGrace)
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
			h.events.events <- uevent{"add", "tty"}
			h.events.events <- uevent{"add", "block"}
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
		if s := second.dev.Status(); s.State != Failed || !strings.Contains(s.Why, `/dev/ttyUSB0: is the port of the device "meter"`) {
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

func TestOneSerialServerSpelledInTwoWays(t *testing.T) {
	f := NewFinder(FinderOptions{Sysfs: pi4()})
	for _, c := range []struct {
		port  string
		taken bool
	}{
		{"tcp://PLC.example.net.:04001", false},
		{"tcp://plc.example.net:4001", true},
		{"rfc2217://plc.Example.net:4001", true},
		{"tcp://plc.example.net:4002", false},
		{"tcp://[FE80:0::1]:4001", false},
		{"tcp://[fe80::1]:4001", true},
	} {
		if _, err := f.claim(c.port, "x"); errors.Is(err, ErrClaimed) != c.taken {
			t.Errorf("%s: %v", c.port, err)
		}
	}
}

func TestASelectorThatMeansTwoPortsIsAFault(t *testing.T) {
	f := NewFinder(FinderOptions{Sysfs: pi4()})
	if path, err := f.Find(Selector{Vendor: "0403"}); err != nil || path != "/dev/ttyUSB0" {
		t.Errorf("%q %v", path, err)
	}
	if path, err := f.Find(Selector{ByPath: "platform-fd500000.pcie-pci-0000:01:00.0-usb-0:1:1.2"}); err != nil || path != "/dev/ttyACM0" {
		t.Errorf("%q %v", path, err)
	}
	if _, err := f.Find(Selector{ByPath: "pci-gone"}); !errors.Is(err, ErrAbsent) {
		t.Errorf("%v", err)
	}
}

func TestParseUevent(t *testing.T) {
	// in the format of lib/kobject_uevent.c; a real one is heard in TestUeventsOfTheKernel
	const message = "add@/devices/pci0000:00/usb1/1-1/1-1:1.0/ttyUSB0/tty/ttyUSB0\x00ACTION=add\x00" +
		"DEVPATH=/devices/pci0000:00/usb1/1-1/1-1:1.0/ttyUSB0/tty/ttyUSB0\x00SUBSYSTEM=tty\x00MAJOR=188\x00MINOR=0\x00DEVNAME=ttyUSB0\x00SEQNUM=3121\x00"
	if e := parseUevent([]byte(message)); e != (uevent{"add", "tty"}) || !e.aboutPorts() {
		t.Errorf("%+v", e)
	}
	for message, want := range map[string]bool{
		"":                                    true, // lost
		"change@/x\x00SUBSYSTEM=block\x00":    false,
		"bind@/x\x00SUBSYSTEM=usb-serial\x00": true,
		"libudev\x00\xfe\xed\xca\xfe\x28\x00": true,
		"remove@/x\x00ACTION=remove\x00SUBSYSTEM=net": false,
	} {
		if got := parseUevent([]byte(message)).aboutPorts(); got != want {
			t.Errorf("%q: %v", message, got)
		}
	}
}
