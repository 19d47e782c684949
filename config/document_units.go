package config

// Modbus says how the units of a bus are asked.
type Modbus struct {
	Protocol   string   `yaml:"protocol" oneof:"auto rtu ascii tcp"` // auto: tcp for a port of tcp://, else rtu
	Timeout    Duration `yaml:"timeout" min:"1ms" max:"1m"`          // until an answer begins
	Retries    int      `yaml:"retries" min:"0" max:"10"`            // of a unit that answered before
	Turnaround Duration `yaml:"turnaround" max:"2s"`                 // silence before a request, beside that of the standard
	MaxBlock   int      `yaml:"max_block" min:"1" max:"125"`         // 16-bit registers in one read
	Gap        int      `yaml:"gap" min:"0" max:"124"`               // registers read for nothing, so that two reads become one
}

// Unit is one slave on a Modbus bus. Its name stands in topics like that of a device. Start from the defaults: 10 s, always.
type Unit struct {
	Address int      `yaml:"address" min:"0" max:"255"`
	Every   Duration `yaml:"every" min:"10ms" max:"24h"` // how often it is read, unless a register says otherwise
	Report  string   `yaml:"report" oneof:"always change"`
	// with report: change, a value is reported again after so long; 0s: never
	MaxSilence Duration             `yaml:"max_silence" max:"7d"`
	Registers  map[string]*Register `yaml:"registers"`
}

// Register is one value of a unit.
type Register struct {
	Kind      string   `yaml:"kind" oneof:"coil discrete holding input"`
	Address   int      `yaml:"address" min:"0" max:"65535"` // from 0, as on the line
	Type      string   `yaml:"type" oneof:"bit bits int16 uint16 int32 uint32 int64 uint64 float32 float64 string"`
	Order     string   `yaml:"order" oneof:"abcd cdab badc dcba big little"` // big is abcd, little dcba
	Bit       int      `yaml:"bit,omitempty" min:"0" max:"15"`               // bit, bits: the lowest one in a 16-bit register
	Count     int      `yaml:"count,omitempty" min:"1" max:"123"`            // bits: how many; string: how many registers
	Scale     float64  `yaml:"scale" min:"-1e300" max:"1e300"`               // value = register × scale + offset
	Offset    float64  `yaml:"offset,omitempty" min:"-1e300" max:"1e300"`
	Unit      string   `yaml:"unit,omitempty"` // of measure, as format: senml gives it
	Every     Duration `yaml:"every,omitempty" min:"10ms" max:"24h"`
	Deadband  float64  `yaml:"deadband,omitempty" min:"0" max:"1e300"` // with report: change, a smaller change is not reported
	Writable  bool     `yaml:"writable,omitempty"`
	WriteOnly bool     `yaml:"write_only,omitempty"` // never read, nor read back
}

// Requests bounds what comes down to a device, by /write and /request, and says how the answer to a request is waited for.
type Requests struct {
	Max       Size     `yaml:"max" max:"1MiB"`                  // bytes of one command; 0: as many as a frame may have
	PerMinute int      `yaml:"per_minute" min:"0" max:"100000"` // and as many at once; 0: as Limit says
	Limit     string   `yaml:"limit" oneof:"auto none"`         // auto: 600 a minute, 60 at once; none, as per_minute: 0 alone
	Allow     []Hex    `yaml:"allow"`                           // what the bytes must begin with: one of these; empty: anything
	Timeout   Duration `yaml:"timeout" min:"1ms" max:"1m"`
	Silence   Duration `yaml:"silence" max:"1m"` // the answer is all frames until nothing came for so long; 0s: the next frame
}

// The rate of commands where limit is auto: more than a field bus carries, and no more than the journal remembers.
const (
	defaultPerMinute = 600
	defaultBurst     = 60 // of them at once
)

// limitNone is a limit that there is none.
const limitNone = "none"

// Rate are the commands a minute that a device takes, 0 for no limit, and how many of them may come at once.
func (r Requests) Rate() (perMinute, burst int) {
	switch {
	case r.PerMinute > 0:
		return r.PerMinute, r.PerMinute
	case r.Limit == limitNone:
		return 0, 0
	}
	return defaultPerMinute, defaultBurst
}

// IsBus is true for the master of a Modbus bus.
func (d *SerialDevice) IsBus() bool { return len(d.Units) > 0 }

// ModbusProtocol is rtu, ascii or tcp.
func (d *SerialDevice) ModbusProtocol() string {
	switch {
	case d.Modbus.Protocol != auto:
		return d.Modbus.Protocol
	case isNetwork(d.Port):
		return "tcp"
	}
	return "rtu"
}

func (u *Unit) setDefaults() {
	*u = Unit{Every: 10 * second, Report: "always", MaxSilence: 10 * minute}
}

func (r *Register) setDefaults() {
	*r = Register{Kind: "holding", Type: "uint16", Order: "abcd", Scale: 1}
}
