package framing

import (
	"errors"
	"fmt"
	"time"
)

// DefaultMax is the longest frame in bytes when [Spec] has no Max.
const DefaultMax = 4 << 10

// What Next says about bytes that it threw away. They are counted already; the caller asks Next again.
var (
	// ErrTooLong is also what Encode says about a payload longer than Max.
	ErrTooLong = errors.New("frame longer than the maximum")
	// ErrResync says that bytes without a header were skipped.
	ErrResync = errors.New("no header where a frame should start")
)

// What else Encode says about a payload that the framing cannot carry.
var (
	ErrEmpty     = errors.New("empty payload")
	ErrDelimiter = errors.New("delimiter inside the payload")
	ErrWrongSize = errors.New("payload is not of the fixed size")
	ErrNoHeader  = errors.New("payload does not start with the header")
)

// Framer cuts a stream of bytes into frames. It belongs to one goroutine, except Encode, which only reads what never changes
// and may be called from anywhere.
type Framer interface {
	// Feed takes what was read at now; p is copied. Call Next until it returns nil, nil before the next Feed: that bounds
	// the memory, and a silence between two calls of Feed is seen either way.
	Feed(now time.Time, p []byte)
	// Next returns the next whole frame, or nil, nil when it needs more bytes or more silence. The frame is valid until the
	// next call of Feed. An error means that bytes were thrown away and counted as bad; there may be more to come.
	Next(now time.Time) (frame []byte, err error)
	// Wake is when Next must be asked again even if nothing arrives; zero: not before the next Feed.
	Wake() time.Time
	// Encode appends payload, framed, to dst. The errors are ErrEmpty, ErrTooLong, ErrDelimiter, ErrWrongSize and
	// ErrNoHeader, wrapped; dst is returned unchanged then.
	Encode(dst, payload []byte) ([]byte, error)
	// Start is when the first byte of the frame last returned by Next was fed.
	Start() time.Time
	// Stats counts since New.
	Stats() Stats
}

// Stats counts bytes and frames. Read = InFrames + Delimiters + Bad + Pending, exactly, at every moment.
type Stats struct {
	Read       int64 // bytes fed
	InFrames   int64 // bytes returned in frames
	Delimiters int64 // bytes that only separated frames
	Bad        int64 // bytes thrown away: too long, without a header
	Pending    int64 // bytes held: a frame that is not whole yet
	Frames     int64 // frames returned
	BadFrames  int64 // stretches of bad bytes
}

// Spec says how a device frames. Fields that the type does not use must be zero, except Max and CharTime.
type Spec struct {
	Type     string        // "line" (also when empty), "delimiter", "idle", "fixed"
	Max      int           // longest frame in bytes, without delimiters; if zero, then DefaultMax
	Bytes    []byte        // delimiter: the sequence; line: what Encode adds, "\n" (if empty) or "\r\n"
	Keep     bool          // delimiter: frames keep theirs
	Gap      time.Duration // idle: the silence that ends a frame
	Chars    float64       // idle: the same in characters of the line; needs CharTime
	CharTime time.Duration // how long one character takes on the line, start and stop bits included; zero: unknown
	Size     int           // fixed: bytes in a frame, header included
	Header   []byte        // fixed: how each frame starts; if empty, then no resync is possible
}

// Silence is the silence that ends a frame, and that a writer must leave between two frames; zero: none is needed.
func (s Spec) Silence() time.Duration {
	if s.Type != "idle" {
		return 0
	}
	return max(s.Gap, time.Duration(s.Chars*float64(s.CharTime)))
}

// New makes the framer of a spec, or says what is wrong with the spec.
func New(s Spec) (Framer, error) {
	if s.Type == "" {
		s.Type = "line"
	}
	if s.Max == 0 {
		s.Max = DefaultMax
	}
	var kind func(Spec) (Framer, error)
	switch s.Type {
	case "line":
		kind = newLine
	case "delimiter":
		kind = newDelimiter
	case "idle":
		kind = newIdle
	case "fixed":
		kind = newFixed
	default:
		return nil, fmt.Errorf("frame type %q: unknown; use line, delimiter, idle or fixed", s.Type)
	}
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("frame type %q: %w", s.Type, err)
	}
	return kind(s)
}

// check refuses what no type, or not this type, can mean: a parameter without effect is a misunderstanding.
func (s Spec) check() error {
	for _, c := range []struct {
		set  bool
		name string
		for1 string
		for2 string
	}{
		{len(s.Bytes) > 0, "bytes", "delimiter", "line"},
		{s.Keep, "keep", "delimiter", ""},
		{s.Gap != 0, "gap", "idle", ""},
		{s.Chars != 0, "chars", "idle", ""},
		{s.Size != 0, "size", "fixed", ""},
		{len(s.Header) > 0, "header", "fixed", ""},
	} {
		if c.set && s.Type != c.for1 && s.Type != c.for2 {
			return fmt.Errorf("%s has no meaning here, only for type %s", c.name, c.for1)
		}
	}
	if s.Max < 1 {
		return fmt.Errorf("max of %d bytes; use at least 1", s.Max)
	}
	return nil
}

// checkPayload is what Encode of every kind asks first; content is the payload without its delimiter.
func checkPayload(content, limit int) error {
	if content > limit {
		return fmt.Errorf("payload of %d bytes, at most %d: %w", content, limit, ErrTooLong)
	}
	return nil
}
