package discover

import (
	"os"
	"reflect"
	"testing"
	"testing/fstest"

	"github.com/linkbeat/linkbeat/firmware-bridge/discover/discovertest"
)

// pi4 is what a Raspberry Pi 4 with an FTDI adapter, a modem and its own UART shows.
func pi4() fstest.MapFS {
	const pci = "devices/platform/scb/fd500000.pcie/pci0000:00/0000:00:00.0/0000:01:00.0"
	const ftdi = pci + "/usb1/1-1/1-1.2"
	const modem = pci + "/usb2/2-1"
	const uart = "devices/platform/soc/fe201000.serial"
	return discovertest.Tree(map[string]string{
		"class/tty/ttyUSB0":                            "→../../" + ftdi + "/1-1.2:1.0/ttyUSB0/tty/ttyUSB0",
		ftdi + "/1-1.2:1.0/ttyUSB0/tty/ttyUSB0/device": "→../../../ttyUSB0",
		ftdi + "/1-1.2:1.0/ttyUSB0/driver":             "→../../../../../../../../../../../../bus/usb-serial/drivers/ftdi_sio",
		ftdi + "/1-1.2:1.0/ttyUSB0/subsystem":          "→../../../../../../../../../../../../bus/usb-serial",
		ftdi + "/1-1.2:1.0/ttyUSB0/port_number":        "0",
		ftdi + "/1-1.2:1.0/bInterfaceNumber":           "00",
		ftdi + "/1-1.2:1.0/subsystem":                  "→../../../../../../../../../../../bus/usb",
		ftdi + "/subsystem":                            "→../../../../../../../../../../bus/usb",
		ftdi + "/idVendor":                             "0403",
		ftdi + "/idProduct":                            "6001",
		ftdi + "/serial":                               "A50285BI",
		ftdi + "/manufacturer":                         "FTDI",
		ftdi + "/product":                              "FT232R USB UART",
		pci + "/usb1/1-1/subsystem":                    "→../../../../../../../../../bus/usb",
		pci + "/usb1/1-1/idVendor":                     "2109", // the hub: must not be taken for the adapter
		pci + "/usb1/subsystem":                        "→../../../../../../../../bus/usb",
		pci + "/subsystem":                             "→../../../../../../../bus/pci",
		"devices/platform/scb/fd500000.pcie/pci0000:00/0000:00:00.0/subsystem": "→../../../../../../bus/pci",
		"devices/platform/scb/fd500000.pcie/subsystem":                         "→../../../../bus/platform",
		"devices/platform/scb/subsystem":                                       "→../../../bus/platform",

		"class/tty/ttyACM0":                   "→../../" + modem + "/2-1:1.2/tty/ttyACM0",
		modem + "/2-1:1.2/tty/ttyACM0/device": "→../../../2-1:1.2",
		modem + "/2-1:1.2/driver":             "→../../../../../../../../../../bus/usb/drivers/cdc_acm",
		modem + "/2-1:1.2/subsystem":          "→../../../../../../../../../../bus/usb",
		modem + "/2-1:1.2/bInterfaceNumber":   "0a",
		modem + "/subsystem":                  "→../../../../../../../../../bus/usb",
		modem + "/idVendor":                   "2c7c",
		modem + "/idProduct":                  "0125",

		"class/tty/ttyAMA0": "→../../" + uart + "/fe201000.serial:0/fe201000.serial:0.0/tty/ttyAMA0",
		uart + "/fe201000.serial:0/fe201000.serial:0.0/tty/ttyAMA0/device": "→../../../fe201000.serial:0.0",
		uart + "/fe201000.serial:0/fe201000.serial:0.0/tty/ttyAMA0/type":   "22",
		uart + "/fe201000.serial:0/fe201000.serial:0.0/driver":             "→../../../../../../bus/serial-base/drivers/port",
		uart + "/fe201000.serial:0/fe201000.serial:0.0/subsystem":          "→../../../../../../bus/serial-base",
		uart + "/fe201000.serial:0/subsystem":                              "→../../../../../bus/serial-base",
		uart + "/driver":                                                   "→../../../../bus/amba/drivers/uart-pl011",
		uart + "/subsystem":                                                "→../../../../bus/amba",

		"class/tty/ttyS3": "→../../devices/platform/serial8250/tty/ttyS3",
		"devices/platform/serial8250/tty/ttyS3/device": "→../../../serial8250",
		"devices/platform/serial8250/tty/ttyS3/type":   "0",
		"class/tty/tty1":                  "→../../devices/virtual/tty/tty1",
		"class/tty/ptmx":                  "→../../devices/virtual/tty/ptmx",
		"class/tty/console":               "→../../devices/virtual/tty/console",
		"devices/virtual/tty/tty1/dev":    "4:1",
		"devices/virtual/tty/ptmx/dev":    "5:2",
		"devices/virtual/tty/console/dev": "5:1",
	})
}

func TestPortsTellsWhatIsPluggedInWhere(t *testing.T) {
	got, err := Ports(pi4())
	if err != nil {
		t.Fatal(err)
	}
	want := []PortInfo{
		{Name: "ttyACM0", Path: "/dev/ttyACM0", Driver: "cdc_acm", // no serial number: the socket is what is left
			Config: "path: /dev/serial/by-path/platform-fd500000.pcie-pci-0000:01:00.0-usb-0:1:1.2",
			ByPath: "/dev/serial/by-path/platform-fd500000.pcie-pci-0000:01:00.0-usb-0:1:1.2",
			USB:    &USBInfo{Vendor: "2c7c", Product: "0125", Interface: 10}},
		{Name: "ttyAMA0", Path: "/dev/ttyAMA0", Driver: "uart-pl011", Config: "port: /dev/ttyAMA0"},
		{Name: "ttyUSB0", Path: "/dev/ttyUSB0", Driver: "ftdi_sio",
			Config: `usb: {vendor: "0403", product: "6001", serial: "A50285BI", interface: 0}`,
			ByPath: "/dev/serial/by-path/platform-fd500000.pcie-pci-0000:01:00.0-usb-0:1.2:1.0-port0",
			USB: &USBInfo{Vendor: "0403", Product: "6001", Serial: "A50285BI", Manufacturer: "FTDI",
				Description: "FT232R USB UART"}},
	}
	if len(got) != len(want) {
		t.Fatalf("%d ports, want %d: %+v", len(got), len(want), got)
	}
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("port %d:\n got %+v %+v\nwant %+v %+v", i, got[i], got[i].USB, want[i], want[i].USB)
		}
	}
}

func TestPortsOfThisMachine(t *testing.T) {
	ports, err := Ports(os.DirFS("/sys"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range ports {
		if p.Name == "ptmx" || p.Name == "console" {
			t.Errorf("%s is no serial port", p.Name)
		}
		t.Logf("%+v", p)
	}
}

func TestPortsWithoutSysfsSaysSo(t *testing.T) {
	if _, err := Ports(fstest.MapFS{}); err == nil {
		t.Error("no error")
	}
}

func TestPortsSurvivesOddTrees(t *testing.T) {
	odd := discovertest.Tree(map[string]string{
		"class/tty/ttyUSB7":             "→../../devices/x/tty/ttyUSB7",
		"devices/x/tty/ttyUSB7/device":  "→../../../x",
		"class/tty/plain":               "not a link",
		"class/tty/dangling":            "→../../devices/gone",
		"class/tty/cciss!c0":            "→../../devices/y/tty/cciss!c0",
		"devices/y/tty/cciss!c0/device": "→../../../y",
		"devices/y/subsystem":           "→../../bus/platform",
	})
	got, err := Ports(odd)
	if err != nil {
		t.Fatal(err)
	}
	want := []PortInfo{{Name: "cciss!c0", Path: "/dev/cciss/c0", Config: "port: /dev/cciss/c0"},
		{Name: "ttyUSB7", Path: "/dev/ttyUSB7", Config: "port: /dev/ttyUSB7"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
