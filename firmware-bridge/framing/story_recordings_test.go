package framing

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// Every line of every recording of text comes out byte for byte and in order, at any size of the reads.
func TestRecordings(t *testing.T) {
	for _, name := range []string{"testdata/ais-nmea.log", "testdata/neo-m8n.log", "testdata/quectel-eg25-g.log"} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for l := range strings.SplitSeq(strings.TrimSuffix(string(data), "\n"), "\n") {
			if l = strings.TrimSuffix(l, "\r"); l != "" {
				want = append(want, l)
			}
		}
		for _, size := range []int{1, 7, 64, 4096, len(data)} {
			f := mustNew(t, Spec{Type: "line"})
			var out []string
			for rest := data; len(rest) > 0; rest = rest[min(size, len(rest)):] {
				f.Feed(t0(), rest[:min(size, len(rest))])
				frames, bad := drain(t, f, t0())
				if bad != nil {
					t.Fatal(bad)
				}
				out = append(out, texts(frames)...)
			}
			if strings.Join(out, "\n") != strings.Join(want, "\n") {
				t.Errorf("%s in chunks of %d: %d lines, want %d", name, size, len(out), len(want))
			}
			if s := f.Stats(); s.Pending != 0 || s.Bad != 0 || s.Read != int64(len(data)) {
				t.Errorf("%s in chunks of %d: %+v", name, size, s)
			}
		}
	}
}

// The memory is bounded by the longest frame and one chunk, whatever a device sends.
func TestMemoryIsBounded(t *testing.T) {
	noise := bytes.Repeat([]byte{0x5a}, 4096)
	for _, s := range fuzzed() {
		s.Max = 1024
		f := mustNew(t, s)
		for i := range 2000 { // 8 MB
			f.Feed(at(i), noise)
			for {
				if data, err := f.Next(at(i)); data == nil && err == nil {
					break
				}
			}
		}
		if held := cap(tapeOf(t, f).b); held > 4*(1024+4096) {
			t.Errorf("%s holds %d bytes", s.Type, held)
		}
		if marks := cap(tapeOf(t, f).marks); marks > 64 {
			t.Errorf("%s holds %d marks", s.Type, marks)
		}
	}
}

// Where a frame may start anywhere in what is held, the times are bounded too.
func TestDribbleNeedsBoundedMarks(t *testing.T) {
	for _, s := range []Spec{{Type: "nmea"}, {Type: "stx_etx"}, {Type: "fixed", Size: 4096, Checksum: "crc32"}, sirfSpec()} {
		f := mustNew(t, s)
		f.Feed(at(0), []byte("\xa0\xa2\x0f\xf0"))
		f.Feed(at(1), []byte{2})
		for i := range 4000 {
			f.Feed(at(i), []byte{'x'})
			drain(t, f, at(i))
		}
		if marks := cap(tapeOf(t, f).marks); marks > 2*maxMarks || f.Stats().Pending < 4000 {
			t.Errorf("%s holds %d marks, %+v", s.Type, marks, f.Stats())
		}
	}
}

// A frame that dribbles in byte by byte costs one mark, not one for each byte.
func TestDribbleNeedsOneMark(t *testing.T) {
	for _, s := range []Spec{{}, {Type: "delimiter", Bytes: []byte(";;")}, {Type: "fixed", Size: 4096},
		{Type: "idle", Gap: 1e9}} {
		f := mustNew(t, s)
		for i := range 4000 {
			f.Feed(at(i), []byte{'x'})
			drain(t, f, at(i))
		}
		if marks := cap(tapeOf(t, f).marks); marks > 64 {
			t.Errorf("%s holds %d marks", s.Type, marks)
		}
	}
}

// self is promoted by every kind.
func (t *tape) self() *tape { return t }

func tapeOf(t *testing.T, f Framer) *tape {
	t.Helper()
	return f.(interface{ self() *tape }).self()
}
