package framing

import (
	"errors"
	"time"
)

// Errors of Next about bytes that it has dropped. They are counted already; the caller calls Next again.
var (
	// ErrTooLong is also what Encode says about a payload longer than Max.
	ErrTooLong = errors.New("frame longer than the maximum")
	// ErrResync says that bytes without a header were skipped.
	ErrResync = errors.New("no header where a frame should start")
	// ErrChecksum is also what Encode says about a payload that brings a wrong checksum of its own.
	ErrChecksum = errors.New("checksum is wrong")
	// ErrMalformed is also what Encode says about a payload that is no frame of the device.
	ErrMalformed = errors.New("bytes that no frame has")
	// ErrTruncated says that a frame was cut short, by a silence or by the start of the next one.
	ErrTruncated = errors.New("frame is not whole")
)

// More errors of Encode about a payload that the framing cannot carry.
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
	// next call of Feed. An error means that bytes were thrown away and counted as bad; there may be more to come. It does not
	// compute for long: a search that finds nothing returns such an error now and then.
	Next(now time.Time) (frame []byte, err error)
	// Wake is when Next must be called again even if nothing arrives; zero: not before the next Feed.
	Wake() time.Time
	// End says that nothing more comes: a frame that only waits for a silence is complete. Call Next until it returns nil, nil,
	// and feed nothing afterwards; what is pending then will never be complete.
	End()
	// Encode appends payload, framed, to dst. The errors are ErrEmpty, ErrTooLong, ErrDelimiter, ErrWrongSize, ErrNoHeader,
	// ErrChecksum and ErrMalformed, wrapped; dst is returned unchanged then.
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
	Delimiters int64 // bytes that only made frames: delimiters, stuffing, and what Keep would keep
	Bad        int64 // bytes thrown away: too long, without a header, with a wrong checksum
	Pending    int64 // bytes held: a frame that is not whole yet
	Frames     int64 // frames returned
	BadFrames  int64 // stretches of bad bytes
	Checks     int64 // checksums compared, right or wrong; each may be right by chance
}
