package framing

import (
	"slices"
	"testing"
	"time"
)

// t0 is when every test begins.
func t0() time.Time { return time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC) }

func at(ms int) time.Time { return t0().Add(time.Duration(ms) * time.Millisecond) }

// got is a frame that came out, and when its first byte went in.
type got struct {
	data  string
	start time.Time
}

func mustNew(t testing.TB, s Spec) Framer {
	t.Helper()
	f, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// drain asks until the framer needs more, and checks the balance after every answer.
func drain(t testing.TB, f Framer, now time.Time) (frames []got, bad []error) {
	t.Helper()
	for {
		balance(t, f.Stats())
		data, err := f.Next(now)
		balance(t, f.Stats())
		switch {
		case err != nil && data != nil:
			t.Fatalf("frame %q and error %v together", data, err)
		case err != nil:
			if !slices.Contains([]error{ErrTooLong, ErrResync, ErrChecksum, ErrMalformed, ErrTruncated}, err) {
				t.Fatalf("unknown error %v", err)
			}
			bad = append(bad, err)
		case data == nil:
			return frames, bad
		case len(data) == 0:
			t.Fatal("empty frame")
		default:
			frames = append(frames, got{string(data), f.Start()})
		}
	}
}

func balance(t testing.TB, s Stats) {
	t.Helper()
	if s.Read != s.InFrames+s.Delimiters+s.Bad+s.Pending {
		t.Fatalf("read %d is not in_frames %d + delimiters %d + bad %d + pending %d", s.Read, s.InFrames, s.Delimiters, s.Bad,
			s.Pending)
	}
	if min(s.Read, s.InFrames, s.Delimiters, s.Bad, s.Pending, s.Frames, s.BadFrames) < 0 {
		t.Fatalf("negative counter: %+v", s)
	}
}

// chars makes n bytes of a text.
func chars(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('a' + i%26)
	}
	return b
}
