package discover

import (
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// PortInfo describes one serial port of this machine. What sysfs does not tell is empty.
type PortInfo struct {
	Name   string `json:"name"`             // "ttyUSB0"
	Path   string `json:"path"`             // "/dev/ttyUSB0"; the number may differ after the next boot
	Driver string `json:"driver,omitempty"` // "ftdi_sio", "cdc_acm", "serial8250"
	// "/dev/serial/by-path/…": names the socket that it is plugged into; USB only, made by udev
	ByPath string   `json:"by_path,omitempty"`
	USB    *USBInfo `json:"usb,omitempty"`
	InUse  string   `json:"in_use_by,omitempty"` // "gpsd, pid 812"; filled by [Holders], as far as /proc shows it to us
	Config string   `json:"config"`              // the line of configuration that picks this port again
}

// node is the name below /dev.
func (p PortInfo) node() string { return strings.ReplaceAll(p.Name, "!", "/") }

// USBInfo is what the USB descriptors say.
type USBInfo struct {
	Vendor       string `json:"vendor"`                 // idVendor, 4 hex digits: "0403"
	Product      string `json:"product"`                // idProduct, 4 hex digits
	Serial       string `json:"serial,omitempty"`       // many cheap adapters have none, or all the same
	Interface    int    `json:"interface"`              // bInterfaceNumber: tells the ports of one device apart
	Manufacturer string `json:"manufacturer,omitempty"` // text
	Description  string `json:"description,omitempty"`  // text of the product
}

// Ports lists serial ports by reading sysfs, which is os.DirFS("/sys") outside of tests. It never opens a port: that would set
// one in use to 9600 baud (go.bug.st/serial GetPortsList does). Virtual terminals, pseudo-terminals and the numbered
// places of a UART driver with no UART behind them are left out. sysfs must implement [fs.ReadLinkFS].
func Ports(sysfs fs.FS) ([]PortInfo, error) {
	entries, err := fs.ReadDir(sysfs, "class/tty")
	if err != nil {
		return nil, fmt.Errorf("list serial ports: %w; is /sys mounted?", err)
	}
	ports := []PortInfo{}
	for _, e := range entries {
		if dir, ok := ttyDevice(sysfs, e.Name()); ok {
			ports = append(ports, describe(sysfs, e.Name(), dir))
		}
	}
	suggest(ports)
	return ports, nil
}

// portUnknown is the type of a UART that is not there: PORT_UNKNOWN of linux/serial_core.h.
const portUnknown = "0"

// ttyDevice resolves class/tty/<name>/device, which a virtual tty does not have.
//
//	class/tty/ttyUSB0        → ../../devices/…/1-1.2:1.0/ttyUSB0/tty/ttyUSB0
//	class/tty/ttyUSB0/device → ../../../ttyUSB0
func ttyDevice(sysfs fs.FS, name string) (dir string, ok bool) {
	class := path.Join("class/tty", name)
	full, ok := link(sysfs, class)
	if !ok || strings.HasPrefix(full, "devices/virtual/") || attr(sysfs, class, "type") == portUnknown {
		return "", false
	}
	return link(sysfs, path.Join(full, "device"))
}

func describe(sysfs fs.FS, name, dir string) PortInfo {
	p := PortInfo{Name: name, Driver: driver(sysfs, dir)}
	p.Path = "/dev/" + p.node()
	for up := dir; up != "devices" && up != "."; up = path.Dir(up) {
		if n, err := strconv.ParseInt(attr(sysfs, up, "bInterfaceNumber"), 16, 32); err == nil && p.USB == nil {
			p.USB = &USBInfo{Interface: int(n)}
		}
		if v := attr(sysfs, up, "idVendor"); v != "" && p.USB != nil {
			p.USB.Vendor = v
			p.USB.Product = attr(sysfs, up, "idProduct")
			p.USB.Serial = attr(sysfs, up, "serial")
			p.USB.Manufacturer = attr(sysfs, up, "manufacturer")
			p.USB.Description = attr(sysfs, up, "product")
			p.ByPath = byPath(sysfs, dir)
			break
		}
	}
	return p
}

// driver is the name of the driver that serves a device. Since Linux 6.5 two devices of the bus serial-base stand between a tty
// and its UART; their driver is called "port" and says nothing.
func driver(sysfs fs.FS, dir string) string {
	for subsystem(sysfs, dir) == "serial-base" {
		dir = path.Dir(dir)
	}
	to, _ := link(sysfs, path.Join(dir, "driver"))
	return base(to)
}

// byPath builds the name that udev gives (systemd, 60-serial.rules and the path_id builtin), from the port outwards:
//
//	platform-fd500000.pcie-pci-0000:01:00.0-usb-0:1.2:1.0-port0
//
// The outer parts are those of the nearest device of each bus, so the bridges on the way to it have no part.
func byPath(sysfs fs.FS, dir string) string {
	var name, last string
	for up := dir; up != "devices" && up != "."; up = path.Dir(up) {
		bus, part := subsystem(sysfs, up), ""
		switch {
		case bus == "usb-serial":
			if n := attr(sysfs, up, "port_number"); n != "" {
				name = "-port" + n
			}
		case bus == last:
		case bus == "usb":
			_, socket, ok := strings.Cut(base(up), "-")
			if !ok {
				return ""
			}
			part = "usb-0:" + socket
		case bus == "pci", bus == "platform":
			part = bus + "-" + base(up)
		}
		if part != "" && last != "" {
			part += "-"
		}
		if part != "" {
			name, last = part+name, bus
		}
	}
	if last == "" || last == "usb" {
		return "" // nothing that stays the same over a boot
	}
	return "/dev/serial/by-path/" + name
}

func subsystem(sysfs fs.FS, dir string) string {
	to, _ := link(sysfs, path.Join(dir, "subsystem"))
	return base(to)
}

func base(name string) string {
	if name == "" {
		return ""
	}
	return path.Base(name)
}

// link follows one symbolic link inside sysfs; its own folder must be free of links.
func link(sysfs fs.FS, name string) (string, bool) {
	to, err := fs.ReadLink(sysfs, name)
	if err != nil {
		return "", false
	}
	return path.Join(path.Dir(name), to), true
}

// attrMax is more than the kernel puts into an attribute, which is a page; in bytes.
const attrMax = 16 << 10

func attr(sysfs fs.FS, dir, name string) string {
	f, err := sysfs.Open(path.Join(dir, name))
	if err != nil {
		return ""
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, attrMax+1))
	if err != nil || len(b) > attrMax {
		return ""
	}
	return strings.TrimSpace(string(b))
}
