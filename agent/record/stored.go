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
//	 0      1           9            17         21
//	+------+-----------+------------+----------+------------+
//	| kind | wall, ms  | boot, ms   | boot id  | frame …    |   kind with kindUnsynced
//	+------+-----------+------------+----------+------------+
//	| kind | wall, ms  | frame …                            |   otherwise
//	+------+-----------+------------------------------------+
//
// All integers are big endian. wall is Unix time; boot is CLOCK_BOOTTIME, good as long as boot id names this boot.
const (
	kindEncoding = 0x03 // mask: 0 text, 1 hex, 2 base64, 3 values: JSON instead of a frame's bytes, see Measured
	kindRaw      = 0x04 // publish the bytes alone
	kindUnsynced = 0x08 // the clock was unset when the frame was read
	kindSenML    = 0x10 // publish it as SenML
	kindAll      = kindEncoding | kindRaw | kindUnsynced | kindSenML

	storedHeader   = 1 + 8
	unsyncedHeader = storedHeader + 8 + 4
)

// encodings is indexed by kind&kindEncoding.
func encodings() [3]wire.Encoding { return [3]wire.Encoding{wire.Text, wire.Hex, wire.Base64} }

// Stored is one frame with what is needed to publish it.
type Stored struct {
	Stamp    clock.Stamp
	Raw      bool
	SenML    bool
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
	if s.Raw {
		kind |= kindRaw
	}
	if s.SenML {
		kind |= kindSenML
	}
	if s.Stamp.Unsynced {
		kind |= kindUnsynced
	}
	dst = append(dst, kind)
	dst = binary.BigEndian.AppendUint64(dst, uint64(s.Stamp.Wall))
	if s.Stamp.Unsynced {
		dst = binary.BigEndian.AppendUint64(dst, uint64(s.Stamp.Boot))
		dst = binary.BigEndian.AppendUint32(dst, s.Stamp.BootID)
	}
	return append(dst, s.Data...)
}

// Parse takes the spool's form apart; data points into p.
func Parse(p []byte) (Stored, error) {
	if len(p) < storedHeader {
		return Stored{}, fmt.Errorf("stored frame of %d bytes has no header", len(p))
	}
	kind := p[0]
	if kind&^kindAll != 0 || kind&(kindEncoding|kindRaw) == kindEncoding|kindRaw {
		return Stored{}, fmt.Errorf("stored frame of unknown kind %#02x", kind)
	}
	s := Stored{Raw: kind&kindRaw != 0, SenML: kind&kindSenML != 0, Values: kind&kindEncoding == kindEncoding}
	if !s.Values {
		s.Encoding = encodings()[kind&kindEncoding]
	}
	s.Stamp.Wall = int64(binary.BigEndian.Uint64(p[1:]))
	if kind&kindUnsynced == 0 {
		s.Data = p[storedHeader:]
		return s, nil
	}
	if len(p) < unsyncedHeader {
		return Stored{}, errors.New("stored frame has no room for its boot time")
	}
	s.Stamp.Unsynced = true
	s.Stamp.Boot = int64(binary.BigEndian.Uint64(p[9:]))
	s.Stamp.BootID = binary.BigEndian.Uint32(p[17:])
	s.Data = p[unsyncedHeader:]
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
