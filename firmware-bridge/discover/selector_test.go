package discover

import (
	"errors"
	"strings"
	"testing"

	"github.com/linkbeat/linkbeat/firmware-bridge/serialport"
)

func usbPort(name, vendor, serial string, iface int) PortInfo {
	return PortInfo{Name: name, Path: "/dev/" + name, ByPath: "/dev/serial/by-path/pci-0000:00:14.0-usb-0:" + name + ":1.0",
		USB: &USBInfo{Vendor: vendor, Product: "6001", Serial: serial, Interface: iface}}
}

func TestChoose(t *testing.T) {
	one, two := 1, 2
	ports := []PortInfo{usbPort("ttyUSB0", "0403", "A", 0), usbPort("ttyUSB1", "2c7c", "", 1), usbPort("ttyUSB2", "2c7c", "", 2),
		{Name: "ttyS0", Path: "/dev/ttyS0"}}
	for name, c := range map[string]struct {
		s    Selector
		want string // a name, "absent" or "several"
	}{
		"serial number":              {Selector{Serial: "A"}, "ttyUSB0"},
		"vendor":                     {Selector{Vendor: "0403"}, "ttyUSB0"},
		"another case":               {Selector{Vendor: "2C7C", Interface: &two}, "ttyUSB2"},
		"interface":                  {Selector{Vendor: "2c7c", Interface: &one}, "ttyUSB1"},
		"a device with two ports":    {Selector{Vendor: "2c7c"}, "several"},
		"the serial has a case":      {Selector{Serial: "a"}, "absent"},
		"interface is not there":     {Selector{Vendor: "0403", Interface: &two}, "absent"},
		"nothing":                    {Selector{}, "absent"},
		"by path":                    {Selector{ByPath: "pci-0000:00:14.0-usb-0:ttyUSB1:1.0"}, "ttyUSB1"},
		"by the whole path":          {Selector{ByPath: "/dev/serial/by-path/pci-0000:00:14.0-usb-0:ttyUSB1:1.0"}, "ttyUSB1"},
		"by the path of systemd 255": {Selector{ByPath: "pci-0000:00:14.0-usbv2-0:ttyUSB1:1.0"}, "ttyUSB1"},
		"by another path":            {Selector{ByPath: "pci-0000:00:14.0-usb-0:ttyUSB1:1.1"}, "absent"},
	} {
		p, err := c.s.choose(ports)
		got := p.Name
		if errors.Is(err, serialport.ErrAbsent) {
			got = "absent"
		} else if err != nil {
			got = "several"
			if !strings.Contains(err.Error(), "ttyUSB1") || !strings.Contains(err.Error(), "ttyUSB2") {
				t.Errorf("%s: %v names not both", name, err)
			}
		}
		if got != c.want {
			t.Errorf("%s: %s (%v), want %s", name, got, err, c.want)
		}
	}
}

func TestTheSuggestedLinePicksExactlyThatPort(t *testing.T) {
	clone := func(name string) PortInfo { p := usbPort(name, "1a86", "0001", 0); return p } // all with the same serial number
	blind := clone("ttyUSB5")
	blind.ByPath = ""
	ports := []PortInfo{usbPort("ttyUSB0", "0403", "A${X}\"b", 0), usbPort("ttyUSB1", "2c7c", "", 1), clone("ttyUSB3"),
		clone("ttyUSB4"), blind, {Name: "ttyS0", Path: "/dev/ttyS0"}}
	suggest(ports)
	for i, want := range []string{
		`usb: {vendor: "0403", product: "6001", serial: "A$${X}\"b", interface: 0}`,
		`path: /dev/serial/by-path/pci-0000:00:14.0-usb-0:ttyUSB1:1.0`,
		`path: /dev/serial/by-path/pci-0000:00:14.0-usb-0:ttyUSB3:1.0`,
		`path: /dev/serial/by-path/pci-0000:00:14.0-usb-0:ttyUSB4:1.0`,
		`port: /dev/ttyUSB5`, // nothing tells it apart
		`port: /dev/ttyS0`,
	} {
		if ports[i].Config != want {
			t.Errorf("%s: %s, want %s", ports[i].Name, ports[i].Config, want)
		}
	}
}
