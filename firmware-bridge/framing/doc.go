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
// # Kinds
//
//	type       a frame ends                          a frame starts      parameters
//	line       at \n or \r\n                         after the last one  Bytes (what Encode adds)
//	delimiter  at a sequence of bytes                after the last one  Bytes, Keep
//	idle       after a silence                       after a silence     Gap, or Chars and CharTime
//	fixed      after Size bytes                      at Header, if any   Size, Header
//
// Empty frames (two delimiters in a row, an empty line) are none. How the bytes were cut into chunks never changes what
// comes out, only for idle the times matter as well.
//
// # Bad bytes
//
// Every framer has a longest frame, and never holds much more than that. A longer one is thrown away up to its end and
// counted; the frame after it is whole. Next tells once why bytes were thrown away. [Stats] balances at every moment:
//
//	Read = InFrames + Delimiters + Bad + Pending
//
// # Adding a kind
//
// A file of its own with a type that embeds tape (the buffer, the times, the counters) and has Next, Wake and Encode; a case
// in [New]; rows in the tables of the tests. Feed, Start and Stats come from tape.
package framing
