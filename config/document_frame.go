package config

import (
	"errors"
	"strconv"
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/framing"
)

// The types that have rules of their own here. All that there are stand in [framing.Kinds].
const (
	frameLine      = "line"
	frameDelimiter = "delimiter"
	frameIdle      = "idle"
	frameFixed     = "fixed"
	frameLength    = "length"
	frameModbusRTU = "modbus_rtu"
)

// Frame says where one message of a device ends. Which fields apply depends on Type.
type Frame struct {
	Type  string `yaml:"type" from:"framing.Kinds"`
	Max   Size   `yaml:"max" min:"1" max:"16MiB"`
	Bytes Hex    `yaml:"bytes,omitempty"` // delimiter: 1 to 16 bytes
	// what only makes a frame stays in it: delimiter, header, length, checksum, trailer
	Keep bool `yaml:"keep,omitempty"`
	// idle: this much silence ends a frame; fixed, length, modbus_rtu: gives up one that is not complete
	Gap    Duration `yaml:"gap,omitempty" max:"1m"`
	Chars  float64  `yaml:"chars,omitempty" min:"0.5" max:"10000"` // idle: the same in character times
	Size   int      `yaml:"size,omitempty" min:"1" max:"16777216"` // fixed: bytes, the header and the checksum included
	Header Hex      `yaml:"header,omitempty"`                      // fixed, length: what a frame starts with

	Offset int    `yaml:"offset,omitempty" min:"0" max:"65535"` // length: where the length stands
	Width  int    `yaml:"width,omitempty" min:"1" max:"4"`      // length: its bytes
	Mask   Mask   `yaml:"mask,omitempty"`                       // length: its bits; 0: all
	Order  string `yaml:"order,omitempty" oneof:"big little"`   // length: its first byte; empty: big
	// length: added to it, to make the bytes between it and the checksum
	Adjust  int  `yaml:"adjust,omitempty" min:"-65536" max:"65536"`
	Trailer Hex  `yaml:"trailer,omitempty"` // length: what a frame ends with
	DLE     bool `yaml:"dle,omitempty"`     // stx_etx: DLE before both, and doubled inside

	Checksum string `yaml:"checksum,omitempty" from:"framing.Checksums"`
	// empty: little for crc16/modbus, big for the rest
	ChecksumOrder string `yaml:"checksum_order,omitempty" oneof:"big little"`
	ChecksumFrom  int    `yaml:"checksum_from,omitempty" min:"0" max:"65535"`     // fixed, length: the first byte that it covers
	ChecksumOver  string `yaml:"checksum_over,omitempty" oneof:"etx payload all"` // stx_etx: what it covers; empty: etx
}

// Spec is the frame in the words of package framing. It lacks CharTime, which the line says.
func (f Frame) Spec() framing.Spec {
	return framing.Spec{Type: f.Type, Max: int(f.Max.Int64()), Bytes: f.Bytes, Keep: f.Keep, Gap: f.Gap.Std(),
		Chars: f.Chars, Size: f.Size, Header: f.Header,
		Offset: f.Offset, Width: f.Width, Mask: uint32(f.Mask), Little: f.Order == "little", Adjust: f.Adjust, Trailer: f.Trailer,
		DLE: f.DLE, Checksum: f.Checksum, SumLittle: f.ChecksumOrder == "little", SumBig: f.ChecksumOrder == "big",
		SumFrom: f.ChecksumFrom, SumOver: f.ChecksumOver}
}

// tryOut says why package framing cannot make a framer of it. Framing has the last word: what it refuses is a fault of the
// document, and not of the device when that is opened.
func (f Frame) tryOut() error {
	spec := f.Spec()
	spec.CharTime = time.Millisecond // every line has one
	_, err := framing.New(spec)
	return err
}

// Mask is a set of bits, written 0x03ff.
type Mask uint32

// MarshalText writes m in hex.
func (m Mask) MarshalText() ([]byte, error) {
	return []byte("0x" + strconv.FormatUint(uint64(m), 16)), nil
}

// UnmarshalText reads a whole number, in hex behind 0x.
func (m *Mask) UnmarshalText(p []byte) error {
	n, err := strconv.ParseUint(string(p), 0, 32)
	if err != nil {
		return errors.New("must be bits, such as 0x03ff")
	}
	*m = Mask(n)
	return nil
}
