// Package framing cuts the bytes of a serial line into frames, and wraps payloads into frames.
//
// A [Framer] is a pure state machine: it owns no clock, goroutine or descriptor. Bytes go in with the time they were read,
// frames come out with the time of their first byte. Silence is a delimiter too, so the framer says when it wants to be
// asked again although nothing arrived:
//
//	     ┌── port.Read(buf, f.Wake()) ◄─────────┐
//	     ▼                                      │
//	f.Feed(now, buf[:n])                        │
//	     ▼                                      │
//	f.Next(now) → frame: use it, ask again      │
//	            → error: a bad stretch, ask again
//	            → nil, nil ─────────────────────┘
//
// When the port is lost, f.End() and f.Next once more give what only waited for a silence.
//
// # Kinds
//
//	type        a frame ends                          a frame starts       parameters
//	line        at \n or \r\n                         after the last one   Bytes (what Encode adds)
//	delimiter   at a sequence of bytes                after the last one   Bytes, Keep
//	idle        after a silence                       after a silence      Gap, or Chars and CharTime
//	fixed       after Size bytes                      at Header, if any    Size, Header, Gap
//	length      where a field of its own says         at Header, if any    Offset, Width, Mask, Little, Adjust, Header,
//	                                                                       Trailer, Gap
//	cobs        at 00                                 after the last one   none
//	slip        at c0                                 after the last one   none
//	stx_etx     at ETX                                at STX               DLE
//	modbus_rtu  after a silence, if its CRC is right  after the last one   CharTime, Gap
//	nmea        at \n or \r\n                         at $ or !            none
//
// All but the last two may end with a checksum: Checksum, SumLittle, SumBig, SumFrom, SumOver. What only makes a frame is cut off
// it: delimiters, stuffing, and of length the header, the length and the trailer; checksums too. With Keep all of it stays, and
// Encode wants it. The header of fixed, and $ to *hh of nmea, always stay.
//
// Empty frames (two delimiters in a row, an empty line) are none. How the bytes were cut into chunks never changes what
// comes out, only where silence matters the times matter as well.
//
// # Bad bytes
//
// Every framer has a longest frame, and never holds much more than that (of slip, stuffed, twice that). A longer one is thrown
// away up to its end and counted; the frame after it is whole. Next tells once why bytes were thrown away.
//
// Noise costs at most the frame that it runs into. Where a checksum, header or trailer says that a frame is none, the search
// goes on with its second byte, so a false length swallows nothing, and holds back what comes behind it until a silence of Gap
// (3 s) at most; a length without any of them may swallow up to Max bytes. A checksum of n bits lets one in 2ⁿ false frames
// pass. [Stats] balances at every moment:
//
//	Read = InFrames + Delimiters + Bad + Pending
//
// # Adding a kind
//
// A file with a type that embeds tape (the buffer, the times, the counters) and has Next and Encode, and a row in [Kinds].
// Feed, Wake, End, Start and Stats come from tape. The configuration takes it from there, with the keys of its row. A key
// that is new is a field of [Spec], of config.Frame and of config.Frame.Spec as well. Then rows in the tables of the
// tests, and in the list above.
package framing
