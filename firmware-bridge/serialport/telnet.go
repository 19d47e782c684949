package serialport

// Bytes of Telnet, RFC 854 and RFC 855.
const (
	telnetIAC  = 255
	telnetDONT = 254
	telnetDO   = 253
	telnetWONT = 252
	telnetWILL = 251
	telnetSB   = 250
	telnetSE   = 240
)

// Options of Telnet.
const (
	optionBinary  = 0  // RFC 856
	optionSGA     = 3  // suppress go ahead, RFC 858
	optionComPort = 44 // RFC 2217
)

// maxSub bounds a subnegotiation; those of RFC 2217 have 6 bytes, but a signature may be a text.
const maxSub = 256

// telnet takes the commands out of what a Telnet server sends, and says what to reply. Pure.
//
//	IAC IAC                    the byte 255
//	IAC WILL|WONT|DO|DONT o    an option is offered, refused, asked for, forbidden
//	IAC SB o … IAC SE          a subnegotiation; IAC is doubled in it
//	IAC x                      another command: ignored
type telnet struct {
	state    telnetState
	verb     byte
	sub      []byte
	mine     [256]answer // options that we offer
	yours    [256]answer // options that the server offers
	reply    []byte      // what must be sent; the caller empties it
	received func(sub []byte)
}

type telnetState byte

const (
	inData telnetState = iota
	afterIAC
	afterVerb
	inSub
	afterSubIAC
)

// answer is what is known of one direction of an option.
type answer byte

const (
	unasked answer = iota
	asked
	agreed
	refused
)

// offer asks for options in both directions or, with ours, for the one in which we do something.
func (t *telnet) offer(option byte, both bool) {
	t.mine[option] = asked
	t.reply = append(t.reply, telnetIAC, telnetWILL, option)
	if both {
		t.yours[option] = asked
		t.reply = append(t.reply, telnetIAC, telnetDO, option)
	}
}

// feed appends the data in p to dst.
func (t *telnet) feed(dst, p []byte) []byte {
	for _, b := range p {
		switch t.state {
		case inData:
			if b == telnetIAC {
				t.state = afterIAC
			} else {
				dst = append(dst, b)
			}
		case afterIAC:
			dst = t.command(dst, b)
		case afterVerb:
			t.state = inData
			t.option(t.verb, b)
		case inSub:
			if b == telnetIAC {
				t.state = afterSubIAC
			} else {
				t.keep(b)
			}
		case afterSubIAC:
			t.endSub(b)
		}
	}
	return dst
}

func (t *telnet) command(dst []byte, b byte) []byte {
	t.state = inData
	switch b {
	case telnetIAC:
		return append(dst, telnetIAC)
	case telnetWILL, telnetWONT, telnetDO, telnetDONT:
		t.state, t.verb = afterVerb, b
	case telnetSB:
		t.state, t.sub = inSub, t.sub[:0]
	}
	return dst
}

func (t *telnet) keep(b byte) {
	if len(t.sub) < maxSub {
		t.sub = append(t.sub, b)
	}
}

func (t *telnet) endSub(b byte) {
	switch b {
	case telnetIAC:
		t.state = inSub
		t.keep(telnetIAC)
		return
	case telnetSE:
		if t.received != nil && len(t.sub) > 0 && len(t.sub) < maxSub {
			t.received(t.sub)
		}
	}
	t.state = inData
}

// option answers an offer or a request once, so that the two ends do not answer each other without end (RFC 1143 names the
// danger).
func (t *telnet) option(verb, option byte) {
	side, yes, no := &t.mine[option], byte(telnetWILL), byte(telnetWONT)
	if verb == telnetWILL || verb == telnetWONT {
		side, yes, no = &t.yours[option], telnetDO, telnetDONT
	}
	before := *side
	if verb == telnetWONT || verb == telnetDONT {
		if *side = refused; before == agreed {
			t.reply = append(t.reply, telnetIAC, no, option)
		}
		return
	}
	useful := option == optionBinary || option == optionSGA || option == optionComPort
	switch {
	case before == asked:
		*side = agreed
	case before == unasked && useful, before == refused && useful:
		*side = agreed
		t.reply = append(t.reply, telnetIAC, yes, option)
	case before == unasked:
		*side = refused
		t.reply = append(t.reply, telnetIAC, no, option)
	}
}

// appendSub appends a subnegotiation.
func appendSub(dst []byte, option byte, p ...byte) []byte {
	dst = append(dst, telnetIAC, telnetSB, option)
	dst = appendEscaped(dst, p)
	return append(dst, telnetIAC, telnetSE)
}

// appendEscaped appends data with every IAC doubled.
func appendEscaped(dst, p []byte) []byte {
	for _, b := range p {
		if dst = append(dst, b); b == telnetIAC {
			dst = append(dst, telnetIAC)
		}
	}
	return dst
}
