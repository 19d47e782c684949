package framing

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// oracle cuts a whole stream in the plainest way; pos is where the frame starts.
type oracle func(data []byte) []cutAt

type cutAt struct {
	pos  int
	data string
}

func splitAt(end []byte, limit int, keep bool, trim string) oracle {
	return func(data []byte) (out []cutAt) {
		for pos := 0; ; {
			n := bytes.Index(data[pos:], end)
			if n < 0 {
				return out
			}
			content := bytes.TrimSuffix(data[pos:pos+n], []byte(trim))
			if len(content) > 0 && len(content) <= limit {
				if keep {
					content = data[pos : pos+n+len(end)]
				}
				out = append(out, cutAt{pos, string(content)})
			}
			pos += n + len(end)
		}
	}
}

func fixedAt(size int, header []byte) oracle {
	return func(data []byte) (out []cutAt) {
		for pos := 0; pos+size <= len(data); {
			if !bytes.HasPrefix(data[pos:], header) {
				pos++
				continue
			}
			out = append(out, cutAt{pos, string(data[pos : pos+size])})
			pos += size
		}
		return out
	}
}

// drawSpec draws a framing that a small alphabet exercises, and its oracle.
func drawSpec(t *rapid.T) (Spec, oracle) {
	word := rapid.SliceOfN(rapid.SampledFrom([]byte("ab\r\n")), 1, 3)
	limit := rapid.IntRange(1, 12).Draw(t, "max")
	switch rapid.SampledFrom([]string{"line", "delimiter", "fixed"}).Draw(t, "type") {
	case "line":
		return Spec{Type: "line", Max: limit}, splitAt([]byte("\n"), limit, false, "\r")
	case "delimiter":
		end, keep := word.Draw(t, "bytes"), rapid.Bool().Draw(t, "keep")
		return Spec{Type: "delimiter", Max: limit, Bytes: end, Keep: keep}, splitAt(end, limit, keep, "")
	default:
		header := word.Draw(t, "header")
		size := len(header) + rapid.IntRange(0, 5).Draw(t, "more")
		return Spec{Type: "fixed", Size: size, Header: header}, fixedAt(size, header)
	}
}

// Any split into chunks gives the same frames, the same counters, and the time of the chunk that held the first byte.
func TestAnySplitGivesTheSameFrames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spec, want := drawSpec(t)
		data := rapid.SliceOfN(rapid.SampledFrom([]byte("abcd\r\n")), 0, 80).Draw(t, "data")
		whole, pieces := newOrFatal(t, spec), newOrFatal(t, spec)
		whole.Feed(t0(), data)
		inOne, _ := drain2(t, whole, t0())
		var out []got
		fedAt := make([]time.Time, 0, len(data)) // of each byte
		for rest, ms := data, 0; len(rest) > 0; ms++ {
			n := rapid.IntRange(1, len(rest)).Draw(t, "chunk")
			pieces.Feed(at(ms), rest[:n])
			for range n {
				fedAt = append(fedAt, at(ms))
			}
			rest = rest[n:]
			frames, pending := drain2(t, pieces, at(ms))
			out = append(out, frames...)
			if int(pending) > spec.Max+spec.Size+max(len(spec.Bytes), 1) {
				t.Fatalf("%d bytes held", pending)
			}
		}
		expected := want(data)
		if !slices.Equal(texts(inOne), cuts(expected)) || !slices.Equal(texts(out), cuts(expected)) {
			t.Fatalf("in one %q, in pieces %q, want %q", texts(inOne), texts(out), cuts(expected))
		}
		for i, c := range expected {
			if !out[i].start.Equal(fedAt[c.pos]) {
				t.Fatalf("frame %d starts at %v, its first byte was fed at %v", i, out[i].start, fedAt[c.pos])
			}
		}
		if whole.Stats() != pieces.Stats() {
			t.Fatalf("in one %+v, in pieces %+v", whole.Stats(), pieces.Stats())
		}
	})
}

// The same for idle, where the times belong to the stream: a chunk is read when its last byte arrived, and the reader either
// waits for Wake, or is so late that it sees the silences only in the times of the chunks.
func TestAnySplitGivesTheSameBursts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const charTime = time.Millisecond
		spec := Spec{Type: "idle", Gap: 5 * charTime, CharTime: charTime, Max: 8}
		f := newOrFatal(t, spec)
		waits := rapid.Bool().Draw(t, "waits")
		var want []string
		var out []got
		now := t0()
		for range rapid.IntRange(1, 8).Draw(t, "bursts") {
			data := chars(rapid.IntRange(1, 12).Draw(t, "burst"))
			if len(data) <= spec.Max {
				want = append(want, string(data))
			}
			for len(data) > 0 {
				n := rapid.IntRange(1, len(data)).Draw(t, "chunk")
				now = now.Add(time.Duration(n) * charTime)
				f.Feed(now, data[:n])
				data = data[n:]
				frames, _ := drain2(t, f, now)
				out = append(out, frames...)
			}
			now = now.Add(spec.Gap + time.Duration(rapid.IntRange(0, 9).Draw(t, "more"))*charTime/2)
			if wake := f.Wake(); waits && !wake.IsZero() {
				frames, _ := drain2(t, f, wake)
				out = append(out, frames...)
			}
		}
		frames, pending := drain2(t, f, now)
		out = append(out, frames...)
		if !slices.Equal(texts(out), want) || pending != 0 {
			t.Fatalf("%q, want %q; %d bytes held", texts(out), want, pending)
		}
	})
}

// What Encode lets through comes out of Feed as the very payload.
func TestEncodedPayloadsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spec, _ := drawSpec(t)
		spec.Keep = false
		f := newOrFatal(t, spec)
		payload := rapid.SliceOfN(rapid.SampledFrom([]byte("abcd\r\n")), 0, 14).Draw(t, "payload")
		out, err := f.Encode(nil, payload)
		if err != nil {
			return
		}
		f.Feed(t0(), out)
		frames, pending := drain2(t, f, t0())
		content := payload
		switch spec.Type {
		case "line":
			content = bytes.TrimSuffix(bytes.TrimSuffix(payload, []byte("\n")), []byte("\r"))
		case "delimiter":
			content = bytes.TrimSuffix(payload, spec.Bytes)
		}
		if len(content) == 0 && len(frames) == 0 {
			return // a bare delimiter
		}
		if len(frames) != 1 || frames[0].data != string(content) || pending != 0 {
			t.Fatalf("%q came back as %q, %d bytes held", payload, texts(frames), pending)
		}
	})
}

func newOrFatal(t *rapid.T, s Spec) Framer {
	f, err := New(s)
	if err != nil {
		t.Fatalf("%+v: %v", s, err)
	}
	return f
}

// drain2 is drain for rapid, whose T is no testing.TB; the balance is checked at the end.
func drain2(t *rapid.T, f Framer, now time.Time) (frames []got, pending int64) {
	for {
		data, err := f.Next(now)
		if data == nil && err == nil {
			break
		}
		if data != nil {
			frames = append(frames, got{string(data), f.Start()})
		}
	}
	s := f.Stats()
	if s.Read != s.InFrames+s.Delimiters+s.Bad+s.Pending {
		t.Fatalf("unbalanced: %+v", s)
	}
	return frames, s.Pending
}

func texts(frames []got) (out []string) {
	for _, g := range frames {
		out = append(out, g.data)
	}
	return out
}

func cuts(frames []cutAt) (out []string) {
	for _, c := range frames {
		out = append(out, c.data)
	}
	return out
}
