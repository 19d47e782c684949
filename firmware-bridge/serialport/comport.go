package serialport

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Commands of the option COM-PORT, RFC 2217, section 3, from the client; the server answers with the same and 100 more.
const (
	comBaud      = 1 // 4 bytes, the highest first
	comDataSize  = 2
	comParity    = 3
	comStopSize  = 4
	comControl   = 5
	comLineState = 6  // from the server only, as 106
	comLineMask  = 10 // which errors the server reports
	comPurge     = 12
	comAnswer    = 100
)

// Values of them.
const (
	comStopOne         = 1
	comStopTwo         = 2
	comStopOneAndHalf  = 3
	comFlowNone        = 1
	comFlowXonXoff     = 2
	comFlowRTSCTS      = 3
	comDTROn           = 8
	comDTROff          = 9
	comRTSOn           = 11
	comRTSOff          = 12
	comPurgeSent       = 2    // what the server has not sent to the line yet
	comOverrun         = 0x02 // bits of the state of a line
	comParityError     = 0x04
	comFramingError    = 0x08
	comBreak           = 0x10
	comLineErrors      = comOverrun | comParityError | comFramingError | comBreak
	comSettings        = 5 // commands that settings sends and that must be answered
	comBaudBytes       = 4
	comParityLetters   = "?NOEMS" // the index is the value
	comSettingsLongest = 64
)

// comPort is the client's side of the option COM-PORT. Pure.
type comPort struct {
	requested, confirmed [comSettings + 1]uint32 // by command
	answered             [comSettings + 1]bool
	errors               LineErrors
}

// settings returns the subnegotiations that set the line.
func (c *comPort) settings(l Line) []byte {
	*c = comPort{errors: c.errors}
	c.requested = [...]uint32{comBaud: uint32(l.Baud), comDataSize: uint32(l.Mode.DataBits),
		comParity: uint32(strings.IndexByte(comParityLetters, l.Mode.Parity)), comStopSize: comStopOne, comControl: comFlowNone}
	switch l.Mode.Stop {
	case TwoStop:
		c.requested[comStopSize] = comStopTwo
	case OneAndHalfStop:
		c.requested[comStopSize] = comStopOneAndHalf
	}
	switch l.Flow {
	case FlowXonXoff:
		c.requested[comControl] = comFlowXonXoff
	case FlowRTSCTS:
		c.requested[comControl] = comFlowRTSCTS
	}
	out := make([]byte, 0, comSettingsLongest)
	for command := byte(comBaud); command <= comSettings; command++ {
		p := []byte{command, byte(c.requested[command])}
		if command == comBaud {
			p = binary.BigEndian.AppendUint32(p[:1], c.requested[comBaud])
		}
		out = appendSub(out, optionComPort, p...)
	}
	out = appendSub(out, optionComPort, comControl, comDTROn)
	if l.Flow != FlowRTSCTS {
		out = appendSub(out, optionComPort, comControl, comRTSOn)
	}
	return appendSub(out, optionComPort, comLineMask, comLineErrors)
}

// change returns the subnegotiations that change a line that is set already; no caller waits for the answers.
func (c *comPort) change(l LineChange) (out []byte) {
	if l.Baud > 0 {
		out = appendSub(out, optionComPort, binary.BigEndian.AppendUint32([]byte{comBaud}, uint32(l.Baud))...)
	}
	if m := l.Mode; m != (Mode{}) {
		stop := map[StopBits]byte{OneStop: comStopOne, OneAndHalfStop: comStopOneAndHalf, TwoStop: comStopTwo}[m.Stop]
		out = appendSub(out, optionComPort, comDataSize, byte(m.DataBits))
		out = appendSub(out, optionComPort, comParity, byte(strings.IndexByte(comParityLetters, m.Parity)))
		out = appendSub(out, optionComPort, comStopSize, stop)
	}
	for _, wire := range []struct {
		want    *bool
		on, off byte
	}{{l.DTR, comDTROn, comDTROff}, {l.RTS, comRTSOn, comRTSOff}} {
		if wire.want == nil {
			continue
		}
		value := wire.off
		if *wire.want {
			value = wire.on
		}
		out = appendSub(out, optionComPort, comControl, value)
	}
	return out
}

// received is called with each subnegotiation.
func (c *comPort) received(sub []byte) {
	if len(sub) < 3 || sub[0] != optionComPort || sub[1] < comAnswer {
		return
	}
	command, value := sub[1]-comAnswer, uint32(sub[2])
	if command == comBaud {
		if len(sub) < 2+comBaudBytes {
			return
		}
		value = binary.BigEndian.Uint32(sub[2:])
	}
	switch {
	case command == comLineState:
		c.count(value)
	case command == comControl && (value < comFlowNone || value > comFlowRTSCTS):
		// DTR and RTS: a server may have none
	case command <= comSettings:
		c.confirmed[command], c.answered[command] = value, true
	}
}

func (c *comPort) count(state uint32) {
	bit := func(mask uint32) int64 { return int64(state & mask / mask) }
	c.errors = c.errors.Add(LineErrors{Overrun: bit(comOverrun), Parity: bit(comParityError), Framing: bit(comFramingError),
		Break: bit(comBreak)})
}

// settled is true when every setting was answered; the error says what the server has set instead.
func (c *comPort) settled() (bool, error) {
	names := [...]string{comBaud: "baud rate", comDataSize: "data bits", comParity: "parity", comStopSize: "stop bits",
		comControl: "flow control"}
	for command := byte(comBaud); command <= comSettings; command++ {
		if !c.answered[command] {
			return false, nil
		}
		if c.confirmed[command] != c.requested[command] {
			return false, fmt.Errorf("the serial server does not take the %s: asked for %d, has %d (numbers of RFC 2217)",
				names[command], c.requested[command], c.confirmed[command])
		}
	}
	return true, nil
}
