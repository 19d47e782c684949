package discover

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/linkbeat/linkbeat/firmware-bridge/serialport"
)

// Selector names a port by what it is, whatever number it got this time. Empty fields match anything; an empty selector matches
// nothing. Comparable by reflect.DeepEqual.
type Selector struct {
	Vendor, Product string // 4 hex digits, in either case
	Serial          string
	Interface       *int   // nil: any
	ByPath          string // a name or path of /dev/serial/by-path: the socket that it is plugged into
}

// IsZero is true when nothing is selected.
func (s Selector) IsZero() bool { return s == Selector{} }

// String is how the configuration writes it, such as `usb: {vendor: "0403", product: "6001", interface: 0}`.
func (s Selector) String() string {
	if s.ByPath != "" {
		return "path: " + s.ByPath
	}
	var parts []string
	for _, p := range []struct{ key, value string }{{"vendor", s.Vendor}, {"product", s.Product}, {"serial", s.Serial}} {
		if p.value != "" {
			// a $ would begin a variable
			parts = append(parts, p.key+": "+strings.ReplaceAll(strconv.Quote(p.value), "${", "$${"))
		}
	}
	if s.Interface != nil {
		parts = append(parts, fmt.Sprint("interface: ", *s.Interface))
	}
	return "usb: {" + strings.Join(parts, ", ") + "}"
}

func (s Selector) matches(p PortInfo) bool {
	switch {
	case s.IsZero():
		return false
	case s.ByPath != "":
		return p.ByPath != "" && plainByPath(s.ByPath) == plainByPath(p.ByPath)
	case p.USB == nil:
		return false
	}
	u := p.USB
	is := func(want, got string) bool { return want == "" || want == got }
	return is(strings.ToLower(s.Vendor), strings.ToLower(u.Vendor)) && is(strings.ToLower(s.Product),
		strings.ToLower(u.Product)) && is(s.Serial, u.Serial) && (s.Interface == nil || *s.Interface == u.Interface)
}

// plainByPath is the name without the version of USB: systemd 255 and later make a second link that has it, such as
// …-usbv2-0:1.2:1.0-port0 beside …-usb-0:1.2:1.0-port0.
func plainByPath(name string) string {
	name = path.Base(name)
	before, after, ok := strings.Cut(name, "-usbv")
	if i := strings.IndexByte(after, '-'); ok && i >= 0 {
		return before + "-usb" + after[i:]
	}
	return name
}

// choose finds the only port that matches.
func (s Selector) choose(ports []PortInfo) (PortInfo, error) {
	var found []PortInfo
	for _, p := range ports {
		if s.matches(p) {
			found = append(found, p)
		}
	}
	switch len(found) {
	case 0:
		return PortInfo{}, fmt.Errorf("%s: %w", s, serialport.ErrAbsent)
	case 1:
		return found[0], nil
	}
	var names []string
	for _, p := range found {
		names = append(names, fmt.Sprintf("%s (%s)", p.Path, p.Config))
	}
	return PortInfo{}, fmt.Errorf("%s means %d ports: %s; say more of the one that is meant", s, len(found),
		strings.Join(names, ", "))
}

// suggest fills in Config: the line of configuration that selects each port again, whatever path it will have.
func suggest(ports []PortInfo) {
	for i := range ports {
		p := &ports[i]
		p.Config = "port: " + p.Path
		for _, s := range candidates(*p) {
			if s.only(ports) {
				p.Config = s.String()
				break
			}
		}
	}
}

// candidates are the selectors of a port, the best first: a serial number stays with the device, a path with the socket, and
// even the kind of device is better than a number.
func candidates(p PortInfo) (all []Selector) {
	if p.USB == nil {
		return nil // a port of the board keeps its number
	}
	u := p.USB
	kind := Selector{Vendor: u.Vendor, Product: u.Product, Interface: &u.Interface}
	if u.Serial != "" {
		own := kind
		own.Serial = u.Serial
		all = append(all, own)
	}
	if p.ByPath != "" {
		all = append(all, Selector{ByPath: p.ByPath})
	}
	return append(all, kind)
}

func (s Selector) only(ports []PortInfo) bool {
	n := 0
	for _, p := range ports {
		if s.matches(p) {
			n++
		}
	}
	return n == 1
}
