package modbus

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Type is how the registers of a value are read.
type Type string

// Order is how the bytes of a value lie in its registers, for a value ABCD: abcd is big endian, as the standard has it for one
// register; cdab has the words swapped, badc the bytes of each word, dcba both (little endian). Of 64 bits likewise; a text
// only has the bytes of its words swapped.
type Order string

// Register is one named value of a unit.
type Register struct {
	Name      string
	Kind      Kind
	Address   uint16 // from 0, as on the line
	Type      Type   // bit bits int16 uint16 int32 uint32 int64 uint64 float32 float64 string
	Order     Order  // abcd (also when empty) cdab badc dcba
	Bit       int    // bit and bits of a 16-bit register: the lowest one, from 0
	Count     int    // bits: how many; string: how many registers; if zero, then 1
	Scale     float64
	Offset    float64       // value = what the register says × Scale + Offset; Scale: if zero, then 1
	Unit      string        // of measure
	Every     time.Duration // how often it is read; registers with the same Every are read together
	Deadband  float64       // a change of less is none, with report on change
	Writable  bool
	WriteOnly bool // it does not read as it was written
}

// words is how many 16-bit registers a type takes, and 0 for those that have a Count.
func (t Type) words() int {
	switch t {
	case "int16", "uint16":
		return 1
	case "int32", "uint32", "float32":
		return 2
	case "int64", "uint64", "float64":
		return 4
	}
	return 0
}

func (r Register) count() int { return max(r.Count, 1) }

// Size is how many registers of its kind it takes.
func (r Register) Size() int {
	switch {
	case r.Kind.bits():
		return r.count()
	case r.Type == "string":
		return r.count()
	}
	return max(r.Type.words(), 1)
}

// isPartial is true for some bits of a 16-bit register: a write must leave the others as they are.
func (r Register) isPartial() bool { return !r.Kind.bits() && (r.Type == "bit" || r.Type == "bits") }

func (r Register) scaled() bool { return r.Scale != 0 && r.Scale != 1 || r.Offset != 0 }

// Check says what is wrong with it.
func (r Register) Check() error {
	isBits := r.Type == "bit" || r.Type == "bits"
	switch {
	case r.Kind < Coil || r.Kind > Input:
		return errors.New("of no kind")
	case !isBits && r.Type != "string" && r.Type.words() == 0:
		return fmt.Errorf("type %q is not known", r.Type)
	case r.Kind.bits() && !isBits:
		return fmt.Errorf("type %s needs 16-bit registers: use holding or input, or type bit or bits", r.Type)
	case !slices.Contains([]Order{"", "abcd", "cdab", "badc", "dcba"}, r.Order):
		return fmt.Errorf("order %q is not known", r.Order)
	case r.Writable && r.Kind != Coil && r.Kind != Holding:
		return errors.New("only coils and holding registers can be written")
	case r.WriteOnly && r.isPartial():
		return errors.New("of a register that is never read no single bits can be written")
	case r.Count < 0 || r.Bit < 0 || r.Bit > 15:
		return errors.New("bit must be 0 to 15 and count at least 1")
	case r.Type != "bits" && r.Type != "string" && r.Count > 1:
		return fmt.Errorf("count has no meaning for type %s", r.Type)
	case r.Bit > 0 && !r.isPartial():
		return errors.New("bit has a meaning only for type bit or bits of a 16-bit register")
	case r.isPartial() && r.Bit+r.count() > 16:
		return errors.New("its bits do not lie in one register")
	case r.Kind.bits() && r.count() > 64:
		return errors.New("at most 64 bits make one number")
	case r.Type == "string" && r.count() > MaxWords-2: // a write takes two less (APP 6.12)
		return fmt.Errorf("a text of more than %d registers", MaxWords-2)
	case int(r.Address)+r.Size() > 1<<16:
		return errors.New("goes beyond the last address, 65535")
	case r.scaled() && (r.Type == "bit" || r.Type == "string"):
		return fmt.Errorf("scale and offset have no meaning for type %s", r.Type)
	}
	for _, f := range []float64{r.Scale, r.Offset, r.Deadband} {
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return errors.New("scale, offset and deadband must be numbers")
		}
	}
	return nil
}

// arrange brings bytes from the order of the line into big endian, or back: it is its own inverse.
func arrange(p []byte, o Order, isText bool) []byte {
	p = slices.Clone(p)
	if o == "badc" || o == "dcba" {
		for i := 0; i+1 < len(p); i += 2 {
			p[i], p[i+1] = p[i+1], p[i]
		}
	}
	if (o == "cdab" || o == "dcba") && !isText {
		for i, j := 0, len(p)-2; i < j; i, j = i+2, j-2 {
			p[i], p[i+1], p[j], p[j+1] = p[j], p[j+1], p[i], p[i+1]
		}
	}
	return p
}

// ErrNotANumber: the float in the registers is NaN or infinite, which JSON cannot represent.
var ErrNotANumber = errors.New("not a number")

// Decode is what its registers say: the words in the order of the line, or packed bits.
func (r Register) Decode(raw []byte) (Value, error) {
	if r.Kind.bits() && len(raw) != (r.Size()+7)/8 || !r.Kind.bits() && len(raw) != 2*r.Size() {
		return Value{}, ErrAnswer
	}
	if r.Kind.bits() {
		var n uint64
		for i, b := range raw {
			n |= uint64(b) << (8 * i)
		}
		return r.bitsValue(n)
	}
	p := arrange(raw, r.Order, r.Type == "string")
	switch r.Type {
	case "string":
		text, _, _ := strings.Cut(string(p), "\x00")
		return textValue(strings.ToValidUTF8(strings.TrimRight(text, " "), "\uFFFD")), nil
	case "bit", "bits":
		return r.bitsValue(uint64(binary.BigEndian.Uint16(p)) >> r.Bit)
	case "int16":
		return r.whole(int64(int16(binary.BigEndian.Uint16(p))))
	case "int32":
		return r.whole(int64(int32(binary.BigEndian.Uint32(p))))
	case "int64":
		return r.whole(int64(binary.BigEndian.Uint64(p)))
	case "uint16":
		return r.natural(uint64(binary.BigEndian.Uint16(p)))
	case "uint32":
		return r.natural(uint64(binary.BigEndian.Uint32(p)))
	case "uint64":
		return r.natural(binary.BigEndian.Uint64(p))
	case "float32":
		return r.scale(decimal(math.Float32frombits(binary.BigEndian.Uint32(p))))
	default:
		return r.scale(math.Float64frombits(binary.BigEndian.Uint64(p)))
	}
}

func (r Register) bitsValue(n uint64) (Value, error) {
	if r.Type == "bit" {
		return boolValue(n&1 != 0), nil
	}
	return r.natural(n & (1<<r.count() - 1)) // a shift by 64 makes it all ones
}

func (r Register) whole(i int64) (Value, error) {
	if r.scaled() {
		return r.scale(float64(i))
	}
	return intValue(i), nil
}

func (r Register) natural(u uint64) (Value, error) {
	if r.scaled() {
		return r.scale(float64(u))
	}
	return uintValue(u), nil
}

func (r Register) scale(f float64) (Value, error) {
	if r.scaled() {
		if r.Scale != 0 {
			f *= r.Scale
		}
		f = rounded(f + r.Offset)
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return Value{}, ErrNotANumber
	}
	return floatValue(f), nil
}
