package modbus

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"strings"
)

// Protocol is how a PDU travels.
//
//	RTU    | unit | PDU … | CRC low | CRC high |                            a silence of 3.5 characters around it
//	ASCII  | ':' | unit, PDU … and LRC, two hex digits a byte | CR LF |
//	TCP    | transaction, 2 | 0 0 | length, 2 | unit | PDU … |              length: of unit and PDU
type Protocol string

// The protocols.
const (
	RTU   Protocol = "rtu"
	ASCII Protocol = "ascii"
	TCP   Protocol = "tcp"
)

const tcpHeader = 7 // TCP 3.1.3, the unit included

// Query is a request to one unit.
type Query struct {
	Unit        byte
	PDU         []byte
	Transaction uint16 // TCP only: the answer repeats it
}

// Append adds the request as it goes on the line.
func (p Protocol) Append(dst []byte, q Query) []byte {
	switch p {
	case ASCII:
		body := append([]byte{q.Unit}, q.PDU...)
		body = append(body, LRC(body))
		dst = append(dst, ':')
		dst = append(dst, strings.ToUpper(hex.EncodeToString(body))...)
		return append(dst, '\r', '\n')
	case TCP:
		dst = be16(be16(dst, q.Transaction), 0)
		dst = append(be16(dst, uint16(1+len(q.PDU))), q.Unit)
		return append(dst, q.PDU...)
	default:
		start := len(dst)
		dst = append(append(dst, q.Unit), q.PDU...)
		return binary.LittleEndian.AppendUint16(dst, CRC16(dst[start:]))
	}
}

// Answer is where the answer to a query lies in what was received.
type Answer struct {
	PDU     []byte // points into it
	Skipped int    // bytes before the frame: noise and late answers
	Size    int    // of the frame
}

// Find looks for the answer in what came since the query went out. silent: the line has been quiet for so long that a frame of
// unknown length is over. False: there is none, or not yet.
func (p Protocol) Find(got []byte, q Query, silent bool) (Answer, bool) {
	switch p {
	case ASCII:
		return findASCII(got, q)
	case TCP:
		return findTCP(got, q)
	default:
		return findRTU(got, q, silent)
	}
}

// AnswerBytes is how long the answer is on the line, as far as that is known before it comes.
func (p Protocol) AnswerBytes(q Query) int {
	size := answerSize(q.PDU)
	if size == 0 {
		size = MaxPDU
	}
	switch p {
	case ASCII:
		return 1 + 2*(1+size+1) + 2
	case TCP:
		return tcpHeader + size
	default:
		return 1 + size + 2
	}
}

// findRTU tries every place where the answer could begin: noise may stand before it.
func findRTU(got []byte, q Query, silent bool) (Answer, bool) {
	if len(q.PDU) == 0 {
		return Answer{}, false
	}
	for at := 0; at+5 <= len(got); at++ { // unit, function, a byte, CRC
		frame := got[at:]
		if frame[0] != q.Unit || frame[1]&^ExceptionFlag != q.PDU[0] {
			continue
		}
		size := 1 + answerSize(q.PDU) + 2
		switch {
		case frame[1] != q.PDU[0]:
			size = 1 + 2 + 2
		case size == 3 && silent:
			size = len(frame)
		case size == 3:
			continue
		}
		if size > len(frame) {
			continue
		}
		frame = frame[:size]
		crc := binary.LittleEndian.Uint16(frame[size-2:])
		if pdu := frame[1 : size-2]; crc == CRC16(frame[:size-2]) && answers(q.PDU, pdu) {
			return Answer{PDU: pdu, Skipped: at, Size: size}, true
		}
	}
	return Answer{}, false
}

func findASCII(got []byte, q Query) (Answer, bool) {
	for at := 0; at < len(got); {
		start := bytes.IndexByte(got[at:], ':')
		if start < 0 {
			break
		}
		at += start
		end := bytes.Index(got[at:], []byte("\r\n"))
		if end < 0 {
			break
		}
		if again := bytes.LastIndexByte(got[at:at+end], ':'); again > 0 { // a new start cancels what was before (SERIAL 2.5.2)
			at += again
			continue
		}
		body, err := hex.DecodeString(string(got[at+1 : at+end]))
		if n := len(body); err == nil && n >= 3 && LRC(body) == 0 && body[0] == q.Unit && answers(q.PDU, body[1:n-1]) {
			return Answer{PDU: body[1 : n-1], Skipped: at, Size: end + 2}, true
		}
		at += end + 2
	}
	return Answer{}, false
}

func findTCP(got []byte, q Query) (Answer, bool) {
	for at := 0; at+tcpHeader < len(got); {
		frame := got[at:]
		length := int(binary.BigEndian.Uint16(frame[4:]))
		if frame[2] != 0 || frame[3] != 0 || length < 2 || length > 1+MaxPDU {
			at++
			continue
		}
		size := tcpHeader - 1 + length
		if size > len(frame) {
			break
		}
		if binary.BigEndian.Uint16(frame) == q.Transaction && frame[6] == q.Unit && answers(q.PDU, frame[tcpHeader:size]) {
			return Answer{PDU: frame[tcpHeader:size], Skipped: at, Size: size}, true
		}
		at += size
	}
	return Answer{}, false
}
