package framing

import (
	"os"
	"testing"
	"time"
)

func recording(b testing.TB) []byte {
	data, err := os.ReadFile("testdata/ais-nmea.log")
	if err != nil {
		b.Fatal(err)
	}
	return data
}

func play(f Framer, now time.Time, data []byte, size int) (frames int) {
	for len(data) > 0 {
		n := min(size, len(data))
		now = now.Add(time.Millisecond)
		f.Feed(now, data[:n])
		data = data[n:]
		for {
			frame, err := f.Next(now)
			if frame == nil && err == nil {
				break
			}
			frames++
		}
	}
	return frames
}

// Measured on the lines of a recording, in reads as a fast port gives them and byte by byte as a slow one does.
func BenchmarkFramers(b *testing.B) {
	data := recording(b)
	for _, c := range []struct {
		name string
		spec Spec
		size int
	}{
		{"line/reads of 4096", Spec{Type: "line"}, 4096},
		{"line/reads of 64", Spec{Type: "line"}, 64},
		{"line/reads of 1", Spec{Type: "line"}, 1},
		{"delimiter/reads of 4096", Spec{Type: "delimiter", Bytes: []byte("\n")}, 4096},
		{"fixed/reads of 4096", Spec{Type: "fixed", Size: 56}, 4096},
		{"idle/reads of 64", Spec{Type: "idle", Gap: time.Millisecond}, 64},
	} {
		b.Run(c.name, func(b *testing.B) {
			f := mustNew(b, c.spec)
			now := t0()
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			frames := 0
			for b.Loop() {
				frames += play(f, now, data, c.size)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(max(frames, 1)), "ns/frame")
		})
	}
}

func TestNoAllocationPerFrame(t *testing.T) {
	data := recording(t)
	for _, s := range []Spec{{}, {Type: "delimiter", Bytes: []byte("\n")}, {Type: "fixed", Size: 56}} {
		f := mustNew(t, s)
		now := t0()
		play(f, now, data, 64) // grows the buffers once
		if n := testing.AllocsPerRun(10, func() { play(f, now, data, 64) }); n > 0 {
			t.Errorf("%s: %v allocations for %d bytes", s.Type, n, len(data))
		}
	}
}
