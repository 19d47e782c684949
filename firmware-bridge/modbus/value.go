package modbus

import (
	"encoding/json"
	"math"
	"strconv"
)

// Value is what a register says: a whole number, a number, a text or a truth value. Comparable.
type Value struct {
	form byte
	i    int64
	u    uint64
	f    float64
	s    string
}

const (
	isInt = iota + 1
	isUint
	isFloat
	isText
	isBool
)

func intValue(i int64) Value     { return Value{form: isInt, i: i} }
func uintValue(u uint64) Value   { return Value{form: isUint, u: u} }
func floatValue(f float64) Value { return Value{form: isFloat, f: f} }
func textValue(s string) Value   { return Value{form: isText, s: s} }

func boolValue(on bool) Value {
	v := Value{form: isBool}
	if on {
		v.u = 1
	}
	return v
}

// Number is the value as a number; false for a text.
func (v Value) Number() (float64, bool) {
	switch v.form {
	case isInt:
		return float64(v.i), true
	case isUint, isBool:
		return float64(v.u), true
	case isFloat:
		return v.f, true
	}
	return 0, false
}

// Text is the value as a text; false when it is none.
func (v Value) Text() (string, bool) { return v.s, v.form == isText }

// Bool is the value as a truth value; false when it is none.
func (v Value) Bool() (on, ok bool) { return v.u != 0, v.form == isBool }

// Append adds the value's JSON.
func (v Value) Append(dst []byte) []byte {
	switch v.form {
	case isInt:
		return strconv.AppendInt(dst, v.i, 10)
	case isUint:
		return strconv.AppendUint(dst, v.u, 10)
	case isFloat:
		form := byte('f')
		if a := math.Abs(v.f); a != 0 && (a < 1e-6 || a >= 1e21) {
			form = 'e'
		}
		return strconv.AppendFloat(dst, v.f, form, -1, 64)
	case isBool:
		return strconv.AppendBool(dst, v.u != 0)
	case isText:
		text, err := json.Marshal(v.s)
		if err != nil { // a string can always be marshalled
			return append(dst, `""`...)
		}
		return append(dst, text...)
	}
	return append(dst, "null"...) // the zero value, which no register has
}

// String is the value's JSON.
func (v Value) String() string { return string(v.Append(nil)) }

// digits is how many decimal digits a float64 keeps whatever its size: digits after these come from binary arithmetic.
const digits = 15

// rounded removes what binary arithmetic adds: 2304 × 0.1 is 230.4.
func rounded(f float64) float64 {
	t, err := strconv.ParseFloat(strconv.FormatFloat(f, 'g', digits, 64), 64)
	if err != nil {
		return f
	}
	return t
}

// decimal is a float32 as the decimal number that it stands for.
func decimal(f float32) float64 {
	d, err := strconv.ParseFloat(strconv.FormatFloat(float64(f), 'g', -1, 32), 64)
	if err != nil {
		return float64(f)
	}
	return d
}
