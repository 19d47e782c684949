package framing

import (
	"bytes"
	"fmt"
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

// benched are framings of every kind, and what they cut: the lines of a recording, wrapped.
func benched(b testing.TB) (all []struct {
	spec Spec
	data []byte
}) {
	text := recording(b)
	for _, s := range []Spec{
		{Type: "line"},
		{Type: "delimiter", Bytes: []byte("\r\n")},
		{Type: "fixed", Size: 56},
		{Type: "fixed", Size: 56, Checksum: "crc16/modbus"},
		{Type: "length", Width: 2, Header: []byte{0xd3}, Offset: 1, Mask: 0x3ff},
		{Type: "length", Width: 2, Header: []byte{0xd3}, Offset: 1, Mask: 0x3ff, Checksum: "crc24q"},
		{Type: "cobs"},
		{Type: "cobs", Checksum: "crc32"},
		{Type: "slip"},
		{Type: "slip", Checksum: "crc16/ccitt"},
		{Type: "stx_etx", Checksum: "xor8"},
		{Type: "stx_etx", DLE: true, Checksum: "lrc"},
		{Type: "nmea"},
	} {
		f := mustNew(b, s)
		var data []byte
		for line := range bytes.Lines(text) {
			line = bytes.TrimRight(line, "\r\n")
			if s.Type == "fixed" {
				line = append(line, text...)[:s.Size-mustSum(b, s).cut()]
			}
			out, err := f.Encode(data, line)
			if err == nil {
				data = out
			}
		}
		all = append(all, struct {
			spec Spec
			data []byte
		}{s, data})
	}
	return all
}

// In reads as a fast port gives them, and of a few bytes as a slow one does.
func BenchmarkFramers(b *testing.B) {
	for _, c := range benched(b) {
		for _, size := range []int{4096, 16} {
			b.Run(fmt.Sprintf("%s%s/reads of %d", c.spec.Type, c.spec.Checksum, size), func(b *testing.B) {
				f := mustNew(b, c.spec)
				now := t0()
				b.SetBytes(int64(len(c.data)))
				b.ReportAllocs()
				frames := 0
				for b.Loop() {
					frames += play(f, now, c.data, size)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(max(frames, 1)), "ns/frame")
			})
		}
	}
}

func TestNoAllocationPerFrame(t *testing.T) {
	for _, c := range benched(t) {
		f := mustNew(t, c.spec)
		now := t0()
		play(f, now, c.data, 64) // grows the buffers once
		if f.Stats().Frames < 100 {
			t.Errorf("%s: only %d frames", c.spec.Type, f.Stats().Frames)
		}
		if n := testing.AllocsPerRun(10, func() { play(f, now, c.data, 64) }); n > 0 {
			t.Errorf("%s %s: %v allocations for %d bytes", c.spec.Type, c.spec.Checksum, n, len(c.data))
		}
	}
}

// With silences, for the kinds to which they mean something.
func TestNoAllocationPerSilence(t *testing.T) {
	for _, s := range []Spec{{Type: "idle", Gap: time.Millisecond}, {Type: "modbus_rtu"}} {
		f := mustNew(t, s)
		data, err := f.Encode(nil, []byte("\x01\x06\x00\x01\x00\x02"))
		if err != nil {
			t.Fatal(err)
		}
		now := t0()
		once := func() {
			for _, part := range [][]byte{data[:3], data[3:]} {
				f.Feed(now, part)
				now = now.Add(500 * time.Microsecond)
			}
			now = now.Add(4 * time.Millisecond)
			if frame, err := f.Next(now); frame == nil || err != nil {
				t.Fatalf("%s: %q, %v", s.Type, frame, err)
			}
		}
		once()
		if n := testing.AllocsPerRun(100, once); n > 0 {
			t.Errorf("%s: %v allocations a frame", s.Type, n)
		}
	}
}
