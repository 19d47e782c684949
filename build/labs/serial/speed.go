package serial

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
	"github.com/linkbeat/linkbeat/firmware-bridge/framing"
)

const (
	speedBytes = 16 << 20
	readBytes  = 4096 // what a tty of the kernel holds at most
	fastGoal   = 100  // MB/s
)

// speed measures a framer alone: its frames are made before, and read 4096 bytes at a time.
func (c framer) speed(ctx context.Context, rounds int, t *kit.Table) error {
	if c.silence > 0 {
		return nil // silence cannot be measured in bytes a second
	}
	f, err := framing.New(c.spec)
	if err != nil {
		return err
	}
	m := newMaker(1)
	var data []byte
	for len(data) < speedBytes {
		if data, err = f.Encode(data, c.payload(m)); err != nil {
			return err
		}
	}
	rate, allocs := 0.0, uint64(0)
	for range rounds {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		cutAll(f, data)
		took := time.Since(start)
		runtime.ReadMemStats(&after)
		// those of the last round: the buffers have grown
		rate, allocs = max(rate, float64(len(data))/took.Seconds()/1e6), after.Mallocs-before.Mallocs
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if c.fast {
		t.NoSlower(c.name+": speed of one core", rate, fastGoal, "MB/s")
	} else {
		t.Info(c.name+": speed of one core", rate, "MB/s")
	}
	t.AtMost(c.name+": allocations in 16 MiB", float64(allocs), 8, "objects") // those of the runtime itself
	return nil
}

func cutAll(f framing.Framer, data []byte) {
	now := time.Unix(1_800_000_000, 0)
	for len(data) > 0 {
		n := min(readBytes, len(data))
		f.Feed(now, data[:n])
		data = data[n:]
		for {
			if frame, err := f.Next(now); frame == nil && err == nil {
				break
			}
		}
	}
}

// recordings are cut by configuration alone; how many frames they hold is counted by the independent parsers in the tests of
// package framing.
func recordings(t *kit.Table) error {
	root, err := kit.Root()
	if err != nil {
		return err
	}
	sirf := framing.Spec{Type: "length", Header: []byte{0xa0, 0xa2}, Offset: 2, Width: 2, Mask: 0x7fff,
		Trailer: []byte{0xb0, 0xb3}, Checksum: "sum15", SumFrom: 4, Keep: true}
	rtcm := framing.Spec{Type: "length", Header: []byte{0xd3}, Offset: 1, Width: 2, Mask: 0x03ff, Checksum: "crc24q", Keep: true}
	for _, r := range []struct {
		file   string
		spec   framing.Spec
		frames int
	}{
		{"bu303-moving.log", sirf, 65},
		{"sirf2.log", sirf, 1203},
		{"rtcm3.2.log", rtcm, 192},
		{"ais-nmea.log", framing.Spec{Type: "nmea"}, 1496},
		{"neo-m8n.log", framing.Spec{Type: "nmea"}, 293},
		{"quectel-eg25-g.log", framing.Spec{Type: "nmea"}, 861},
	} {
		data, err := os.ReadFile(filepath.Join(root, "firmware-bridge", "framing", "testdata", r.file))
		if err != nil {
			return err
		}
		f, err := framing.New(r.spec)
		if err != nil {
			return err
		}
		cutAll(f, data)
		t.Exactly("recording "+r.file+": "+r.spec.Type, int(f.Stats().Frames), r.frames, "frames", "")
	}
	return nil
}
