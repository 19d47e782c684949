package modbus

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Kind is one of the four tables of a unit (APP 4.3).
type Kind byte

// The four kinds of registers.
const (
	Coil     Kind = iota + 1 // a bit, may be written
	Discrete                 // a bit
	Holding                  // 16 bits, may be written
	Input                    // 16 bits
)

// ParseKind reads coil, discrete, holding or input.
func ParseKind(s string) (Kind, error) {
	switch s {
	case "coil":
		return Coil, nil
	case "discrete":
		return Discrete, nil
	case "holding":
		return Holding, nil
	case "input":
		return Input, nil
	}
	return 0, fmt.Errorf("kind %q: use coil, discrete, holding or input", s)
}

// bits is true for the kinds whose registers are one bit.
func (k Kind) bits() bool { return k == Coil || k == Discrete }

// Function codes (APP 6).
const (
	readCoils, readDiscrete, readHolding, readInput = 1, 2, 3, 4
	writeCoil, writeRegister                        = 5, 6
	writeCoils, writeRegisters                      = 15, 16
	maskWrite, readWrite                            = 22, 23
)

// ExceptionFlag is set in the function code of an answer that is an exception (APP 7).
const ExceptionFlag = 0x80

// What one request may ask for (APP 6.1 to 6.4), and how long a PDU may be (APP 4.1).
const (
	MaxWords = 125
	MaxBits  = 2000
	MaxPDU   = 253
)

func (k Kind) readFunction() byte {
	return map[Kind]byte{Coil: readCoils, Discrete: readDiscrete, Holding: readHolding, Input: readInput}[k]
}

// ReadPDU asks for count registers from an address on.
func ReadPDU(k Kind, address uint16, count int) []byte {
	return be16(be16([]byte{k.readFunction()}, address), uint16(count))
}

// Reads is true when a request changes nothing in the unit, so that it may arrive at any time.
func Reads(pdu []byte) bool { return len(pdu) > 0 && pdu[0] >= readCoils && pdu[0] <= readInput }

func be16(dst []byte, v uint16) []byte { return binary.BigEndian.AppendUint16(dst, v) }

// writePDU writes raw to the registers from an address on: the words, or the bits packed as in an answer.
func writePDU(k Kind, address uint16, size int, raw []byte) []byte {
	switch {
	case k == Coil && size == 1:
		on := uint16(0)
		if raw[0]&1 != 0 {
			on = 0xff00
		}
		return be16(be16([]byte{writeCoil}, address), on)
	case k == Coil:
		p := be16(be16([]byte{writeCoils}, address), uint16(size))
		return append(append(p, byte(len(raw))), raw...)
	case size == 1:
		return append(be16([]byte{writeRegister}, address), raw...)
	}
	p := be16(be16([]byte{writeRegisters}, address), uint16(size))
	return append(append(p, byte(len(raw))), raw...)
}

// answerSize is how long the PDU of a normal answer to a request is; 0 when only its end on the line can tell.
func answerSize(request []byte) int {
	if len(request) < 5 {
		return 0
	}
	count := int(binary.BigEndian.Uint16(request[3:]))
	switch request[0] {
	case readCoils, readDiscrete:
		return 2 + (count+7)/8
	case readHolding, readInput, readWrite:
		return 2 + 2*count
	case writeCoil, writeRegister, writeCoils, writeRegisters:
		return 5
	case maskWrite:
		return 7
	}
	return 0
}

// answers is true when pdu can be what a unit says to a request.
func answers(request, pdu []byte) bool {
	if len(request) == 0 || len(pdu) < 2 && len(pdu) != len(request) || len(pdu) == 0 {
		return false
	}
	if pdu[0] == request[0]|ExceptionFlag {
		return len(pdu) == 2
	}
	if pdu[0] != request[0] {
		return false
	}
	size := answerSize(request)
	if size == 0 {
		return true
	}
	if len(pdu) != size {
		return false
	}
	switch request[0] {
	case readCoils, readDiscrete, readHolding, readInput, readWrite:
		return int(pdu[1]) == size-2
	case maskWrite:
		return len(request) >= 7 && string(pdu) == string(request[:7])
	default: // an echo of address and value, or of address and count
		return string(pdu) == string(request[:5])
	}
}

// ErrAnswer is of an answer that does not fit its request.
var ErrAnswer = errors.New("bad answer")

// Data is what the answer to a read holds: words in the order of the line, or packed bits. An [Exception] is the error.
func Data(request, pdu []byte) ([]byte, error) {
	if !answers(request, pdu) {
		return nil, ErrAnswer
	}
	if pdu[0]&ExceptionFlag != 0 {
		return nil, Exception(pdu[1])
	}
	if len(pdu) < 2 {
		return nil, nil
	}
	return pdu[2:], nil
}
