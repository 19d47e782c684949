package framing

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// DefaultMax is the longest frame in bytes when [Spec] has no Max.
const DefaultMax = 4 << 10

// Spec says how a device frames. Fields that the type does not use must be zero, except Max and CharTime.
type Spec struct {
	Type string // the name of one of [Kinds]; empty: "line"
	// longest frame in bytes, checksum included, delimiters not; length: all of it; if zero, then DefaultMax
	Max   int
	Bytes []byte // delimiter: the sequence; line: what Encode adds, "\n" (if empty) or "\r\n"
	// frames keep their delimiter, header, length, checksum and trailer, and Encode wants a checksum that is there
	Keep bool
	// idle: the silence that ends a frame; fixed, length: gives up one that is not whole, 3 s if zero and a checksum or trailer
	// tells; modbus_rtu: see rtu
	Gap      time.Duration
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

	// one of [Checksums], at the end of the frame, before delimiter and trailer; stx_etx: behind ETX; if empty, then none
	Checksum  string
	SumLittle bool   // its low byte comes first, whatever is usual for it
	SumBig    bool   // its high byte comes first, whatever is usual for it
	SumFrom   int    // fixed, length: the first byte of the frame that it covers
	SumOver   string // stx_etx: what it covers: "etx" (payload and ETX; also when empty), "payload", "all" (STX too)
}

// Silence is the silence that ends a frame, and that a writer must leave between two frames; zero: none is needed.
func (s Spec) Silence() time.Duration {
	if k, ok := KindOf(s.Type); ok && k.silence != nil {
		return k.silence(s)
	}
	return 0
}

func idleSilence(s Spec) time.Duration { return max(s.Gap, time.Duration(s.Chars*float64(s.CharTime))) }

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
	kind, ok := KindOf(s.Type)
	if !ok {
		return nil, fmt.Errorf("unknown; use one of %s", strings.Join(Types(), ", "))
	}
	if err := s.check(kind); err != nil {
		return nil, err
	}
	sum, err := newSum(s)
	if err != nil {
		return nil, err
	}
	return kind.new(s, sum)
}

// used are the keys of a configuration whose fields are set.
func (s *Spec) used() (keys []string) {
	for _, field := range []struct {
		set bool
		key string
	}{
		{len(s.Bytes) > 0 && s.Type != "line", "bytes"}, // of line, what Encode adds: no key of a configuration
		{s.Gap != 0, "gap"},
		{s.Chars != 0, "chars"},
		{s.Size != 0, "size"},
		{len(s.Header) > 0, "header"},
		{s.Offset != 0, "offset"},
		{s.Width != 0, "width"},
		{s.Mask != 0, "mask"},
		{s.Little, "order"},
		{s.Adjust != 0, "adjust"},
		{len(s.Trailer) > 0, "trailer"},
		{s.DLE, "dle"},
		{s.Checksum != "", "checksum"},
		{s.SumFrom != 0, "checksum_from"},
		{s.SumOver != "", "checksum_over"},
	} {
		if field.set {
			keys = append(keys, field.key)
		}
	}
	return keys
}

// check refuses what no kind, or not this one, can mean: a parameter without effect is a misunderstanding.
func (s *Spec) check(kind Kind) error {
	for _, key := range s.used() {
		if !kind.Takes(key) {
			return fmt.Errorf("%s has no meaning here, only for type %s", key, strings.Join(Taking(key), ", "))
		}
	}
	switch {
	case !s.Keep:
	case kind.NoKeep != "":
		return fmt.Errorf("keep has no meaning: %s", kind.NoKeep)
	case s.Checksum == "" && !kind.KeepsMore:
		return errors.New("keep has nothing to keep without a checksum")
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
