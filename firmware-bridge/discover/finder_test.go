package discover

import (
	"errors"
	"testing"

	"github.com/linkbeat/linkbeat/firmware-bridge/serialport"
)

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
		if _, err := f.Claim(c.port, "x"); errors.Is(err, ErrClaimed) != c.taken {
			t.Errorf("%s: %v", c.port, err)
		}
	}
}

func TestASelectorThatMeansTwoPortsIsAFault(t *testing.T) {
	f := NewFinder(FinderOptions{Sysfs: pi4()})
	if path, err := f.Find(Selector{Vendor: "0403"}); err != nil || path != "/dev/ttyUSB0" {
		t.Errorf("%q %v", path, err)
	}
	if path, err := f.Find(Selector{ByPath: "platform-fd500000.pcie-pci-0000:01:00.0-usb-0:1:1.2"}); err != nil ||
		path != "/dev/ttyACM0" {
		t.Errorf("%q %v", path, err)
	}
	if _, err := f.Find(Selector{ByPath: "pci-gone"}); !errors.Is(err, serialport.ErrAbsent) {
		t.Errorf("%v", err)
	}
}
