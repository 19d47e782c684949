package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/linkbeat/linkbeat/agent/wire"
	"github.com/linkbeat/linkbeat/firmware-bridge/framing"
)

// SerialDevice is one device on a serial port. Start from [DefaultSerial]. Exactly one of Port, USB and Path says which port.
type SerialDevice struct {
	Port     string `yaml:"port,omitempty"` // a path, tcp://host:port or rfc2217://host:port
	USB      USB    `yaml:"usb,flow,omitempty"`
	Path     string `yaml:"path,omitempty"` // of /dev/serial/by-path
	Baud     int    `yaml:"baud" min:"1" max:"4000000"`
	Mode     Mode   `yaml:"mode"`
	Flow     string `yaml:"flow" oneof:"none rts_cts xon_xoff"`
	RS485    RS485  `yaml:"rs485,flow,omitempty"`
	Frame    Frame  `yaml:"frame,flow"`
	Format   string `yaml:"format" from:"wire.Formats"`            // see [SerialDevice.PayloadFormat]
	Encoding string `yaml:"encoding" oneof:"auto text hex base64"` // see [SerialDevice.PayloadEncoding]
	Batch    Batch  `yaml:"batch,flow"`
	Compress string `yaml:"compress" oneof:"none gzip"`
	Commands bool   `yaml:"commands"`
	Console  bool   `yaml:"console"` // may an operator have the port for himself, over the uplink?
	// high: its own spool, drained first, and sent when the budget is used up
	Priority string `yaml:"priority" oneof:"normal high"`

	Requests Requests `yaml:"requests,flow"`

	Modbus Modbus           `yaml:"modbus,flow"`
	Units  map[string]*Unit `yaml:"units,omitempty"` // by name: then the device is the master of a Modbus bus
}

// Batch gathers frames into one publish. All zero: no batches; see [Batch.On] and [Batch.Resolved].
type Batch struct {
	Frames int      `yaml:"frames,omitempty" min:"1" max:"100000"`
	Delay  Duration `yaml:"delay,omitempty" min:"1ms" max:"24h"`
	Bytes  Size     `yaml:"bytes,omitempty" min:"64" max:"255MiB"`
}

// USB names a port by what is plugged in, whatever number it gets. Empty fields match anything.
type USB struct {
	Vendor    string       `yaml:"vendor,omitempty"`  // 4 hex digits
	Product   string       `yaml:"product,omitempty"` // 4 hex digits
	Serial    string       `yaml:"serial,omitempty"`
	Interface USBInterface `yaml:"interface,omitempty"` // which port of a device with several
}

// RS485 is how the driver of a line with two wires is switched.
type RS485 struct {
	Mode        string   `yaml:"mode,omitempty" oneof:"off kernel rts gpio"` // "": off
	DelayBefore Duration `yaml:"delay_before,omitempty" max:"100ms"`
	DelayAfter  Duration `yaml:"delay_after,omitempty" max:"100ms"`
	InvertRTS   bool     `yaml:"invert_rts,omitempty"`
	Chip        string   `yaml:"chip,omitempty"`                     // gpio: such as gpiochip0
	Line        int      `yaml:"line,omitempty" min:"0" max:"65535"` // gpio
}

// On is true when a line is switched.
func (r RS485) On() bool { return r.Mode != "" && r.Mode != rs485Off }

const (
	rs485Off    = "off"
	rs485Kernel = "kernel"
	rs485GPIO   = "gpio"
)

// IsZero is true when nothing is set.
func (u USB) IsZero() bool { return u == USB{} }

// Where is which port it is, as the configuration says.
func (d *SerialDevice) Where() string {
	switch {
	case d.Port != "":
		return d.Port
	case d.Path != "":
		return d.Path
	}
	return d.USB.String()
}

// String is what is plugged in, such as 0403:6001 A50285BI interface 0.
func (u USB) String() string {
	or := func(s string) string { return cmp.Or(s, "*") }
	s := "usb " + strings.ToLower(or(u.Vendor)+":"+or(u.Product))
	if u.Serial != "" {
		s += " " + u.Serial
	}
	if u.Interface.Set {
		s += fmt.Sprint(" interface ", u.Interface.N)
	}
	return s
}

// PayloadEncoding is how frames travel in JSON: "text", "hex" or "base64". Auto is text where frames are text (line, nmea), else
// hex; it is fixed per device and never depends on the content.
func (d *SerialDevice) PayloadEncoding() string {
	if d.Encoding != auto {
		return d.Encoding
	}
	if kind, ok := framing.KindOf(d.Frame.Type); ok && kind.Text {
		return "text"
	}
	return "hex"
}

// PayloadFormat is how records travel.
func (d *SerialDevice) PayloadFormat() wire.Format {
	f, _ := wire.FormatOf(d.Format) // a document holds no other
	return f
}

// recordFormats are the formats that have records, and so batches and values.
func recordFormats() []string {
	return slices.DeleteFunc(wire.Formats(), func(name string) bool { f, _ := wire.FormatOf(name); return f.Bare() })
}

// On is true when frames are gathered.
func (b Batch) On() bool { return b != Batch{} }

// Resolved fills what is missing of a batch that is on: 50 frames, 10 s, 32 KiB. The first limit reached ends a batch, and so
// does [Spool.LongestBatch].
func (b Batch) Resolved() Batch {
	if b.Frames == 0 {
		b.Frames = 50
	}
	if b.Delay == 0 {
		b.Delay = 10 * second
	}
	if b.Bytes == 0 {
		b.Bytes = 32 * kib
	}
	return b
}
