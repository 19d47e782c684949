package modbus

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// ErrValue is of a value that cannot be written to a register.
var ErrValue = errors.New("cannot be written")

// Write is one value on its way into a unit.
type Write struct {
	Register Register
	Want     Value // as it will be read

	raw []byte // words in the order of the line, or packed bits
}

// NewWrite reads a value in JSON. Nothing of it is written when it does not fit: the error is an ErrValue.
func (r Register) NewWrite(text string) (Write, error) {
	if !r.Writable {
		return Write{}, fmt.Errorf("%s %w: it is not writable: true", r.Name, ErrValue)
	}
	raw, err := r.encode(text)
	if err != nil {
		return Write{}, fmt.Errorf("%s %w: %w", r.Name, ErrValue, err)
	}
	want, err := r.Decode(raw)
	if err != nil {
		return Write{}, fmt.Errorf("%s %w: %w", r.Name, ErrValue, err)
	}
	return Write{Register: r, Want: want, raw: raw}, nil
}

// ReadsFirst is true when the register holds other bits too: read it first, and give the data of the answer to PDU.
func (w Write) ReadsFirst() bool { return w.Register.isPartial() }

// PDU is the request that writes it. before is what the register held, if [Write.ReadsFirst].
func (w Write) PDU(before []byte) []byte {
	raw := w.raw
	if w.ReadsFirst() && len(before) == 2 {
		order := w.Register.Order
		mask := uint16(1<<w.Register.count()-1) << w.Register.Bit
		old, new := binary.BigEndian.Uint16(arrange(before, order, false)), binary.BigEndian.Uint16(arrange(raw, order, false))
		raw = arrange(be16(nil, old&^mask|new&mask), order, false)
	}
	return writePDU(w.Register.Kind, w.Register.Address, w.Register.Size(), raw)
}

// encode is the inverse of Decode.
func (r Register) encode(text string) ([]byte, error) {
	text = strings.TrimSpace(text)
	if r.Type == "string" {
		return r.encodeText(text)
	}
	if text == "true" || text == "false" {
		if r.Type != "bit" {
			return nil, errors.New("it needs a number")
		}
		text = map[string]string{"true": "1", "false": "0"}[text]
	}
	if r.Type == "float32" || r.Type == "float64" {
		return r.encodeFloat(text)
	}
	size, signed := 16*r.Size(), strings.HasPrefix(string(r.Type), "int")
	if r.Type == "bit" || r.Type == "bits" {
		size = r.count()
	}
	n, err := r.integer(text, size, signed)
	if err != nil {
		return nil, err
	}
	if r.Kind.bits() {
		p := binary.LittleEndian.AppendUint64(nil, n)
		return p[:(r.Size()+7)/8], nil
	}
	if r.isPartial() {
		n <<= r.Bit
	}
	p := binary.BigEndian.AppendUint64(nil, n)
	return arrange(p[8-2*r.Size():], r.Order, false), nil
}

func (r Register) encodeText(text string) ([]byte, error) {
	var s string
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return nil, errors.New("it needs a text")
	}
	room := 2 * r.Size()
	if len(s) > room {
		return nil, fmt.Errorf("%d bytes of text, it has room for %d", len(s), room)
	}
	p := make([]byte, room)
	copy(p, s)
	return arrange(p, r.Order, true), nil
}

func (r Register) encodeFloat(text string) ([]byte, error) {
	value, f, err := r.unscaled(text)
	if err != nil {
		return nil, err
	}
	most := math.MaxFloat64
	if r.Type == "float32" {
		most = decimal(math.MaxFloat32)
		f = r.nearest(f, value)
	}
	if math.IsInf(f, 0) {
		if f = math.Copysign(most, f); !r.reads(f, value) {
			return nil, errors.New("out of range")
		}
	}
	if r.Type == "float64" {
		return arrange(binary.BigEndian.AppendUint64(nil, math.Float64bits(f)), r.Order, false), nil
	}
	return arrange(binary.BigEndian.AppendUint32(nil, math.Float32bits(float32(f))), r.Order, false), nil
}

// nearest is the float32 for f, which the shortest decimal of the largest one exceeds. That of another may lie in the middle of
// two: where scaling has moved f beyond it, the neighbour that reads as the value was meant.
func (r Register) nearest(f, value float64) float64 {
	n := float32(f)
	for _, to := range []float32{math.MaxFloat32, -math.MaxFloat32} {
		if next := math.Nextafter32(n, to); !r.reads(decimal(n), value) && r.reads(decimal(next), value) {
			return float64(next)
		}
	}
	return float64(n)
}

// unscaled is the value, and the number in the register for it, which may be infinite.
func (r Register) unscaled(text string) (value, f float64, err error) {
	value, err = strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(value) || math.IsInf(value, 0) {
		return 0, 0, errors.New("it needs a number")
	}
	f = value - r.Offset
	if r.Scale != 0 {
		f /= r.Scale
	}
	return value, f, nil
}

// reads is true when the number f in a scaled register reads as the value. What a register says can be written to it: the largest
// and the least number may read, once rounded, as a value that lies a little beyond them.
func (r Register) reads(f, value float64) bool {
	v, err := r.scale(f)
	return r.scaled() && err == nil && v.f == value
}

// integer is the bits of the whole number that a register of so many bits holds for the value. Scaled values are rounded.
func (r Register) integer(text string, size int, signed bool) (uint64, error) {
	out := fmt.Errorf("out of range for %d bits", size)
	if !r.scaled() { // exact, also beyond what a float64 can hold
		if u, err := strconv.ParseUint(text, 10, 64); err == nil {
			if limit := size - b2i(signed); limit < 64 && u>>limit != 0 {
				return 0, out
			}
			return u, nil
		}
		if i, err := strconv.ParseInt(text, 10, 64); err == nil {
			if !signed || i < -1<<(size-1) {
				return 0, out
			}
			return uint64(i), nil
		} else if errors.Is(err, strconv.ErrRange) {
			return 0, out
		}
	}
	value, f, err := r.unscaled(text)
	if err != nil {
		return 0, err
	}
	n := math.Round(f)
	switch {
	case r.scaled():
	case n != f:
		return 0, errors.New("it needs a whole number")
	case math.Abs(n) >= 1<<53: // a float64 has not all of them: another number than the one that was meant would be written
		return 0, errors.New("from 2^53 on it needs all its digits, without a point or an exponent")
	}
	low, high := 0.0, math.Ldexp(1, size)
	if signed {
		low, high = -high/2, high/2
	}
	switch {
	case n < low && r.reads(low, value):
		n = low
	case n >= high && r.reads(float64(^uint64(0)>>(64-size+b2i(signed))), value):
		return ^uint64(0) >> (64 - size + b2i(signed)), nil
	case !(n >= low && n < high): // so that not even NaN gets through
		return 0, out
	}
	if n < 0 {
		return uint64(int64(n)), nil
	}
	return uint64(n), nil
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
