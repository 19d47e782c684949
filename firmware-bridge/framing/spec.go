package framing

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// DefaultMax is the longest frame in bytes when [Spec] has no Max.
const DefaultMax = 4 << 10

// Spec says how a device frames. Fields that the type does not use must be zero, except Max and CharTime.
type Spec struct {
	Type     string        // one of [Types]; empty: "line"
	Max      int           // longest frame in bytes, checksum included, delimiters not; length: all of it; if zero, then DefaultMax
	Bytes    []byte        // delimiter: the sequence; line: what Encode adds, "\n" (if empty) or "\r\n"
	Keep     bool          // frames keep their delimiter, header, length, checksum and trailer, and Encode wants a checksum that is there
	Gap      time.Duration // idle: the silence that ends a frame; fixed, length: gives up one that is not whole, 3 s if zero and a checksum or trailer tells; modbus_rtu: see rtu
	Chars    float64       // idle: the same in characters of the line; needs CharTime
	CharTime time.Duration // how long one character takes on the line, start and stop bits included; zero: unknown
	Size     int           // fixed: bytes in a frame, header and checksum included
	Header   []byte        // fixed, length: how each frame starts; if empty, then only a checksum makes resync possible

	Offset  int    // length: where the length field stands
	Width   int    // length: its bytes, 1 to 4
	Mask    uint32 // length: its bits; if zero, then all
	Little  bool   // length: its low byte comes first
	Adjust  int    // length: added to its value, which then is the number of bytes between it and the checksum
	Trailer []byte // length: how each frame ends

	DLE bool // stx_etx: STX and ETX have a DLE before them, and a DLE inside is doubled

	Checksum  string // one of [Checksums], at the end of the frame, before delimiter and trailer; stx_etx: behind ETX; if empty, then none
	SumLittle bool   // its low byte comes first, whatever is usual for it
	SumBig    bool   // its high byte comes first, whatever is usual for it
	SumFrom   int    // fixed, length: the first byte of the frame that it covers
	SumOver   string // stx_etx: what it covers: "etx" (payload and ETX; also when empty), "payload", "all" (STX too)
}

// Types are the kinds of framing, in the order in which they are best explained.
func Types() []string {
	return []string{"line", "delimiter", "idle", "fixed", "length", "cobs", "slip", "stx_etx", "modbus_rtu", "nmea"}
}

// Silence is the silence that ends a frame, and that a writer must leave between two frames; zero: none is needed.
func (s Spec) Silence() time.Duration {
	switch s.Type {
	case "idle":
		return max(s.Gap, time.Duration(s.Chars*float64(s.CharTime)))
	case "modbus_rtu":
		return rtuSilence(s.CharTime)
	}
	return 0
}

// SilenceAlone is true when nothing but a silence tells a whole frame from half a one.
func (s Spec) SilenceAlone() bool { return s.Type == "idle" && s.Checksum == "" }

// New makes the framer of a spec, or says what is wrong with the spec.
func New(s Spec) (Framer, error) {
	if s.Type == "" {
		s.Type = "line"
	}
	if s.Max == 0 {
		s.Max = DefaultMax
	}
	f, err := s.make()
	if err != nil {
		return nil, fmt.Errorf("frame type %q: %w", s.Type, err)
	}
	return f, nil
}

func (s *Spec) make() (Framer, error) {
	if !slices.Contains(Types(), s.Type) {
		return nil, fmt.Errorf("unknown; use one of %s", strings.Join(Types(), ", "))
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	sum, err := newSum(s)
	if err != nil {
		return nil, err
	}
	switch s.Type {
	case "delimiter":
		return newDelimiter(s, sum)
	case "idle":
		return newIdle(s, sum)
	case "fixed":
		return newFixed(s, sum)
	case "length":
		return newLength(s, sum)
	case "cobs":
		return newCOBS(s, sum)
	case "slip":
		return newSLIP(s, sum)
	case "stx_etx":
		return newEnclosed(s, sum)
	case "modbus_rtu":
		return newRTU(s)
	case "nmea":
		return newNMEA(s)
	}
	return newLine(s, sum)
}

// check refuses what no type, or not this type, can mean: a parameter without effect is a misunderstanding.
func (s *Spec) check() error {
	const summed = "line delimiter idle fixed length cobs slip stx_etx"
	keeps := "delimiter length modbus_rtu"
	if s.Checksum != "" {
		keeps += " line idle fixed cobs slip"
	}
	for _, c := range []struct {
		set   bool
		name  string
		types string
	}{
		{len(s.Bytes) > 0, "bytes", "delimiter line"},
		{s.Keep, "keep", keeps},
		{s.Gap != 0, "gap", "idle fixed length modbus_rtu"},
		{s.Chars != 0, "chars", "idle"},
		{s.Size != 0, "size", "fixed"},
		{len(s.Header) > 0, "header", "fixed length"},
		{s.Offset != 0 || s.Width != 0 || s.Mask != 0 || s.Little || s.Adjust != 0, "offset, width, mask, order or adjust", "length"},
		{len(s.Trailer) > 0, "trailer", "length"},
		{s.DLE, "dle", "stx_etx"},
		{s.Checksum != "", "checksum", summed},
		{s.SumFrom != 0, "checksum_from", "fixed length"},
		{s.SumOver != "", "checksum_over", "stx_etx"},
	} {
		if c.set && !slices.Contains(strings.Fields(c.types), s.Type) {
			return fmt.Errorf("%s has no meaning here, only for type %s", c.name, strings.ReplaceAll(c.types, " ", ", "))
		}
	}
	if s.Checksum == "" && (s.SumLittle || s.SumBig || s.SumFrom != 0 || s.SumOver != "") {
		return errors.New("says how a checksum is made, but not which")
	}
	if s.Max < 1 {
		return fmt.Errorf("max of %d bytes; use at least 1", s.Max)
	}
	if s.Gap < 0 || s.Chars < 0 {
		return errors.New("negative silence")
	}
	return nil
}

// checkPayload is what Encode of most kinds asks first; content is the payload without its delimiter, but with its checksum.
func checkPayload(content, limit int) error {
	switch {
	case content == 0:
		return ErrEmpty
	case content > limit:
		return fmt.Errorf("payload of %d bytes, at most %d: %w", content, limit, ErrTooLong)
	}
	return nil
}
