// Package record is the form in which frames, readings and replies lie in a spool. What a device said comes in and bytes go
// out, and the other way; it never sees a spool, a link or a configuration.
package record

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/linkbeat/linkbeat/agent/clock"
	"github.com/linkbeat/linkbeat/agent/wire"
)

// A frame in the spool is the frame's bytes behind a header, so that it can be published by an agent that knows the device
// no more, or knows it with another encoding:
//
//	+------+--------+-----------+----------+---------+---------+
//	| kind | format | wall, ms  | boot, ms | boot id | frame … |
//	+------+--------+-----------+----------+---------+---------+
//	 1      1        8           8          4                     bytes
//	        only                 only with kindUnsynced
//	        with kindFormat
//
// All integers are big endian. wall is Unix time; boot is CLOCK_BOOTTIME, good as long as boot id names this boot. format is
// the number of a [wire.Format]. The first three formats never have that byte: they are older than it, and kind says which.
const (
	kindEncoding = 0x03 // mask: 0 text, 1 hex, 2 base64, 3 values: JSON instead of a frame's bytes, see Measured
	kindRaw      = 0x04 // publish the bytes alone
	kindUnsynced = 0x08 // the clock was unset when the frame was read
	kindSenML    = 0x10 // publish it as SenML
	kindFormat   = 0x20 // a byte follows that says what to publish it as
	kindAll      = kindEncoding | kindRaw | kindUnsynced | kindSenML | kindFormat

	wallBytes     = 8     // of the header after kind and format
	unsyncedBytes = 8 + 4 // that follow
)

// encodings is indexed by kind&kindEncoding.
func encodings() [3]wire.Encoding { return [3]wire.Encoding{wire.Text, wire.Hex, wire.Base64} }

// Stored is one frame with what is needed to publish it.
type Stored struct {
	Stamp    clock.Stamp
	Format   wire.Format
	Values   bool // data is the JSON of a Measured
	Encoding wire.Encoding
	Data     []byte
}

// Measured is what a poll says, as it lies in the spool.
type Measured struct {
	wire.Measured
	Units map[string]string `json:"units,omitempty"` // of measure, by value; only SenML has a place for them
}

// Append adds the spool's form of the frame to dst.
func (s Stored) Append(dst []byte) []byte {
	kind := byte(0)
	for i, e := range encodings() {
		if e == s.Encoding {
			kind = byte(i)
		}
	}
	if s.Values {
		kind = kindEncoding
	}
	if s.Stamp.Unsynced {
		kind |= kindUnsynced
	}
	dst = appendKind(dst, kind, s.Format)
	dst = binary.BigEndian.AppendUint64(dst, uint64(s.Stamp.Wall))
	if s.Stamp.Unsynced {
		dst = binary.BigEndian.AppendUint64(dst, uint64(s.Stamp.Boot))
		dst = binary.BigEndian.AppendUint32(dst, s.Stamp.BootID)
	}
	return append(dst, s.Data...)
}

// appendKind adds kind, and the format within it or behind it.
func appendKind(dst []byte, kind byte, f wire.Format) []byte {
	switch f {
	case wire.JSON:
		return append(dst, kind)
	case wire.Raw:
		return append(dst, kind|kindRaw)
	case wire.SenML:
		return append(dst, kind|kindSenML)
	}
	return append(dst, kind|kindFormat, byte(f))
}

// formatOf is the format of a record that begins with kind, and what is behind it. Each format has one spelling.
func formatOf(kind byte, p []byte) (f wire.Format, rest []byte, err error) {
	switch kind & (kindRaw | kindSenML | kindFormat) {
	case 0:
		return wire.JSON, p, nil
	case kindRaw:
		return wire.Raw, p, nil
	case kindSenML:
		return wire.SenML, p, nil
	case kindFormat:
		if len(p) > 0 && wire.Format(p[0]) > wire.SenML {
			return wire.Format(p[0]), p[1:], nil
		}
	}
	return 0, nil, fmt.Errorf("stored frame of unknown kind %#02x", kind)
}

// Parse takes the spool's form apart; data points into p.
func Parse(p []byte) (Stored, error) {
	if len(p) < 1+wallBytes {
		return Stored{}, fmt.Errorf("stored frame of %d bytes has no header", len(p))
	}
	kind := p[0]
	format, p, err := formatOf(kind, p[1:])
	s := Stored{Format: format, Values: kind&kindEncoding == kindEncoding}
	switch {
	case err != nil:
		return Stored{}, err
	case !format.Known():
		return Stored{}, fmt.Errorf("stored frame of format %d, which this version does not have", format)
	case kind&^kindAll != 0 || s.Values && format.Bare():
		return Stored{}, fmt.Errorf("stored frame of unknown kind %#02x", kind)
	case len(p) < wallBytes:
		return Stored{}, errors.New("stored frame has no room for its time")
	}
	if !s.Values {
		s.Encoding = encodings()[kind&kindEncoding]
	}
	s.Stamp.Wall = int64(binary.BigEndian.Uint64(p))
	s.Data = p[wallBytes:]
	if kind&kindUnsynced == 0 {
		return s, nil
	}
	if len(s.Data) < unsyncedBytes {
		return Stored{}, errors.New("stored frame has no room for its boot time")
	}
	s.Stamp.Unsynced = true
	s.Stamp.Boot = int64(binary.BigEndian.Uint64(s.Data))
	s.Stamp.BootID = binary.BigEndian.Uint32(s.Data[8:])
	s.Data = s.Data[unsyncedBytes:]
	return s, nil
}

// AppendReply adds the spool's form of a reply: one byte with the length of the device's name, which is at most
// wire.MaxName, the name, and the reply's JSON. The name cannot be the spool's stream: an unknown one comes from the network, and
// streams are few.
func AppendReply(dst []byte, name string, reply wire.Reply) []byte {
	dst = append(dst, byte(len(name)))
	dst = append(dst, name...)
	return reply.Append(dst)
}

// ParseReply takes it apart; payload is the reply's JSON and points into p.
func ParseReply(p []byte) (name string, payload []byte, err error) {
	if len(p) == 0 || len(p) < 1+int(p[0]) {
		return "", nil, errors.New("stored reply has no name")
	}
	n := 1 + int(p[0])
	return string(p[1:n]), p[n:], nil
}
