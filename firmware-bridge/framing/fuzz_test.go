package framing

import (
	"testing"
	"time"
)

// fuzzed are the framings that the fuzzer chooses from by a number.
func fuzzed() []Spec {
	return []Spec{
		{Type: "line", Max: 16},
		{Type: "delimiter", Max: 16, Bytes: []byte("\r\n")},
		{Type: "delimiter", Max: 16, Bytes: []byte("aab"), Keep: true},
		{Type: "idle", Max: 16, Gap: 3 * time.Millisecond},
		{Type: "idle", Max: 16, Chars: 3.5, CharTime: time.Millisecond},
		{Type: "fixed", Size: 7},
		{Type: "fixed", Size: 7, Header: []byte("\xaa\xaa\x55")},
	}
}

// FuzzFramers feeds anything in chunks of any size at any pace: the counters balance, memory is bounded, and no frame is empty
// or longer than it may be.
func FuzzFramers(f *testing.F) {
	f.Add(byte(0), []byte{3, 1}, []byte("abc\r\n\n0123456789abcdef\r\n0123456789abcdefg\n"))
	f.Add(byte(1), []byte{1}, []byte("abc\r\r\n\r\nx"))
	f.Add(byte(2), []byte{2, 200}, []byte("xaaabaabaa"))
	f.Add(byte(3), []byte{5, 250, 1}, []byte("burst, burst and one that is far too long for it"))
	f.Add(byte(4), []byte{7}, []byte("0123456789abcdefghij"))
	f.Add(byte(5), []byte{9, 30}, []byte("0123456789abcdefghij"))
	f.Add(byte(6), []byte{1, 60}, []byte("\xaa\xaa\xaa\x55abcd\xaa\xaax\xaa\xaa\x55efgh"))
	f.Fuzz(func(t *testing.T, kind byte, pace, data []byte) {
		spec := fuzzed()[int(kind)%len(fuzzed())]
		fr := mustNew(t, spec)
		held := int64(max(spec.Max, spec.Size) + maxDelimiter)
		now, frames := t0(), int64(0)
		for i := 0; len(data) > 0; i++ {
			n := 1
			if len(pace) > 0 {
				p := pace[i%len(pace)]
				n = int(p%32) + 1
				now = now.Add(time.Duration(p/32) * time.Millisecond)
			}
			n = min(n, len(data))
			fr.Feed(now, data[:n])
			data = data[n:]
			out, _ := drain(t, fr, now)
			for _, g := range out {
				frames++
				if len(g.data) > spec.Max+len(spec.Bytes) && spec.Size == 0 || g.start.After(now) {
					t.Fatalf("frame %q of %v at %v", g.data, g.start, now)
				}
			}
			if s := fr.Stats(); s.Pending > held || s.Frames != frames {
				t.Fatalf("%d frames came out, %+v", frames, s)
			}
		}
	})
}

// FuzzEncode: no payload makes Encode write more than one frame.
func FuzzEncode(f *testing.F) {
	f.Add(byte(0), []byte("abc"))
	f.Add(byte(0), []byte("a\nb"))
	f.Add(byte(2), []byte("xa"))
	f.Add(byte(6), []byte("\xaa\xaa\x55abcd"))
	f.Fuzz(func(t *testing.T, kind byte, payload []byte) {
		spec := fuzzed()[int(kind)%len(fuzzed())]
		fr := mustNew(t, spec)
		out, err := fr.Encode(nil, payload)
		if err != nil {
			if len(out) != 0 {
				t.Fatalf("error %v and %d bytes", err, len(out))
			}
			return
		}
		fr.Feed(t0(), out)
		frames, bad := drain(t, fr, t0())
		more, bad2 := drain(t, fr, t0().Add(time.Hour))
		if n := len(frames) + len(more); n > 1 || len(bad)+len(bad2) > 0 || fr.Stats().Pending > 0 {
			t.Fatalf("%q became %d frames, %v %v, %+v", payload, n, bad, bad2, fr.Stats())
		}
	})
}
