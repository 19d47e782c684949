package config

import (
	"net"
	"net/netip"
	"path"
	"strconv"
	"strings"
)

// The schemes of ports behind a serial server.
const (
	schemeTCP     = "tcp://"
	schemeRFC2217 = "rfc2217://"
)

// checkWhere checks which port a device is on. It returns the key that says so, and the port in a form that can be compared with
// those of others.
func (c *checker) checkWhere(at string, d *SerialDevice) (key, port string, ok bool) {
	keys := []string{"port", "usb", "path"}
	given := []bool{d.Port != "", !d.USB.IsZero() || c.set(at+".usb"), d.Path != ""}
	for i, key := range keys {
		if given[i] && port != "" {
			c.bad(at+"."+key, "names a port, and so does %s: leave one of them out", port)
			return "", "", false
		} else if given[i] {
			port = key
		}
	}
	switch key = at + "." + port; port {
	case "usb":
		return key, d.USB.String(), c.checkUSB(key, d.USB)
	case "path":
		return key, byPathKey(path.Base(d.Path)), c.checkByPath(key, d.Path)
	}
	key = at + ".port"
	if address, scheme := networkOf(d.Port); scheme != "" {
		return key, addressKey(address), c.checkAddress(key, scheme, address)
	}
	clean := path.Clean(d.Port)
	if name, ok := strings.CutPrefix(clean, byPathDir); ok {
		clean = byPathKey(name)
	}
	return key, clean, c.checkPort(key, d.Port)
}

const byPathDir = "/dev/serial/by-path/"

// byPathKey is the path of a socket without the version of USB, which systemd 255 and later put into a second link:
// …-usbv2-0:1.2:1.0-port0 beside …-usb-0:1.2:1.0-port0. The bridge takes them for the same as well.
func byPathKey(name string) string {
	before, after, ok := strings.Cut(name, "-usbv")
	if i := strings.IndexByte(after, '-'); ok && i >= 0 {
		name = before + "-usb" + after[i:]
	}
	return byPathDir + name
}

// addressKey is the address of a serial server in one spelling; the bridge has the same.
func addressKey(address string) string {
	host, number, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.String()
	}
	return net.JoinHostPort(strings.TrimSuffix(strings.ToLower(host), "."), strings.TrimLeft(number, "0"))
}

// networkOf splits a port behind a serial server into address and scheme; "", "" for any other port.
func networkOf(port string) (address, scheme string) {
	for _, s := range []string{schemeTCP, schemeRFC2217} {
		if address, ok := strings.CutPrefix(port, s); ok {
			return address, s
		}
	}
	return "", ""
}

func (c *checker) checkUSB(key string, u USB) bool {
	if u.Vendor == "" && u.Product == "" && u.Serial == "" {
		c.bad(key, "matches everything: say vendor, product or serial; linkbeat ports lists them")
		return false
	}
	good := true
	for _, id := range []struct{ name, value string }{{"vendor", u.Vendor}, {"product", u.Product}} {
		if _, err := strconv.ParseUint(id.value, 16, 16); id.value != "" && (err != nil || len(id.value) != 4) {
			c.bad(key+"."+id.name, `must be 4 hex digits in quotes, such as "0403"`)
			good = false
		}
	}
	return good
}

func (c *checker) checkByPath(key, value string) bool {
	dir, name := path.Split(value)
	if dir != "" && dir != byPathDir || name == "" || strings.ContainsRune(value, 0) {
		c.bad(key, "must be a name of /dev/serial/by-path; linkbeat ports lists them; any other path goes to port")
		return false
	}
	return true
}

func (c *checker) checkAddress(key, scheme, address string) bool {
	host, port, err := net.SplitHostPort(address)
	n, portErr := strconv.ParseUint(port, 10, 16)
	if err != nil || host == "" || portErr != nil || n == 0 {
		c.bad(key, "must be %shost:port, such as %s10.0.0.5:4001", scheme, scheme)
		return false
	}
	return true
}

// checkPort is true for a path that can be compared with others.
func (c *checker) checkPort(at, port string) bool {
	switch {
	case port == "":
		c.bad(at, "is missing: such as /dev/ttyUSB0, or usb or path instead; linkbeat ports lists them")
	case strings.ContainsRune(port, 0):
		c.bad(at, "must not hold a NUL")
	case !path.IsAbs(port) && strings.HasPrefix(port, "tty"):
		c.bad(at, "must be a full path: did you mean /dev/%s?", port)
	case !path.IsAbs(port):
		c.bad(at, "must be a full path, such as /dev/ttyUSB0, or tcp://host:port or rfc2217://host:port; "+
			"linkbeat ports lists what is there")
	default:
		if !strings.HasPrefix(path.Clean(port), "/dev/") {
			c.odd(at, "is not under /dev: linkbeat ports lists what is there")
		}
		return true
	}
	return false
}

// checkLine checks what goes over the wire.
func (c *checker) checkLine(at string, d *SerialDevice) {
	_, scheme := networkOf(d.Port)
	if scheme == schemeTCP && d.Flow != "none" { // baud and mode say how long a character takes, all the same
		c.odd(at+".flow", "has no effect with tcp://: set it in the serial server, or use rfc2217://")
	}
	c.checkRS485(at, d, scheme != "")
}

func (c *checker) checkRS485(at string, d *SerialDevice, network bool) {
	r, key := d.RS485, at+".rs485"
	switch {
	case !r.On():
		if r != (RS485{}) && r != (RS485{Mode: rs485Off}) {
			c.odd(key, "has no effect without mode: kernel, rts or gpio")
		}
		return
	case network:
		c.bad(key, "is for a port of this machine: a serial server switches the line by itself")
		return
	case d.Flow == "rts_cts" && r.Mode != rs485GPIO:
		c.bad(at+".flow", "needs RTS, and so does rs485 of mode %s", r.Mode)
	}
	const ms = second / 1000
	if r.Mode == rs485Kernel && (r.DelayBefore%ms != 0 || r.DelayAfter%ms != 0) {
		c.bad(key, "of mode kernel takes delays in whole milliseconds")
	}
	if r.Mode == rs485GPIO && r.Chip == "" {
		c.bad(key+".chip", "is missing: such as gpiochip0; gpiodetect lists them")
	}
	if r.Mode != rs485GPIO && (r.Chip != "" || c.set(key+".line")) {
		c.bad(key, "has chip or line, which belong to mode: gpio")
	}
	if r.Mode == rs485GPIO && !c.set(key+".line") {
		c.bad(key+".line", "is missing: the number of the line on the chip")
	}
}
