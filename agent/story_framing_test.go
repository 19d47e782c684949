package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/config"
	"github.com/linkbeat/linkbeat/firmware-bridge/framing"
)

// What config lets through, framing can make: neither sees the other, so their checks are held together here.
func TestEveryGoodFrameIsAFramer(t *testing.T) {
	files, err := filepath.Glob("../config/testdata/good/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	devices := 0
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		doc, _, err := config.Parse(src, config.ParseOptions{Env: func(string) (string, bool) { return "1", true }})
		if err != nil {
			continue // it needs its own variables
		}
		for name, d := range doc.Serial {
			devices++
			spec := d.Frame.Spec()
			spec.CharTime = time.Millisecond
			if _, err := framing.New(spec); err != nil {
				t.Errorf("%s: %s: %v", file, name, err)
			}
		}
	}
	if devices < 20 {
		t.Errorf("only %d devices were tried", devices)
	}
}

// All that framing has can be configured.
func TestEveryFramingHasItsWord(t *testing.T) {
	needs := map[string]string{"delimiter": `, bytes: "0a"`, "idle": ", gap: 20ms", "fixed": ", size: 12, gap: 1s",
		"length": ", width: 2, gap: 1s"}
	var frames []string
	for _, kind := range framing.Types() {
		frames = append(frames, "type: "+kind+needs[kind])
	}
	for _, sum := range framing.Checksums() {
		frames = append(frames, "type: slip, checksum: "+sum)
	}
	for _, frame := range frames {
		src := fmt.Sprintf("uplink: {servers: [{url: mqtts://h}]}\nserial: {x: {port: /dev/ttyS0, frame: {%s}}}\n", frame)
		doc, warnings, err := config.Parse([]byte(src), config.ParseOptions{})
		if err != nil || len(warnings) > 0 {
			t.Errorf("%s: %v, %v", frame, err, warnings)
			continue
		}
		if _, err := framing.New(doc.Serial["x"].Frame.Spec()); err != nil {
			t.Errorf("%s: %v", frame, err)
		}
	}
}

// Binary recordings come out as the frames that they hold, described by a configuration alone; how many that are is counted by
// independent parsers in package framing.
func TestRecordingsByConfigurationAlone(t *testing.T) {
	const src = `uplink: {servers: [{url: mqtts://h}]}
serial:
  bu303-moving: {port: /dev/ttyS0, frame: &sirf {type: length, header: "a0a2", offset: 2, width: 2, mask: 0x7fff, checksum: sum15, checksum_from: 4, trailer: "b0b3"}}
  sirf2: {port: /dev/ttyS1, frame: *sirf}
  rtcm3.2: {port: /dev/ttyS2, frame: {type: length, header: "d3", offset: 1, width: 2, mask: 0x03ff, checksum: crc24q, keep: true}}
  ais-nmea: {port: /dev/ttyS3, frame: {type: nmea}}
`
	doc, warnings, err := config.Parse([]byte(src), config.ParseOptions{})
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	for name, want := range map[string]int{"bu303-moving": 65, "sirf2": 1203, "rtcm3.2": 192, "ais-nmea": 1496} {
		f, err := framing.New(doc.Serial[name].Frame.Spec())
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile("../firmware-bridge/framing/testdata/" + name + ".log")
		if err != nil {
			t.Fatal(err)
		}
		frames := 0
		for chunk := range slices.Chunk(data, 100) {
			f.Feed(time.Now(), chunk)
			for {
				frame, err := f.Next(time.Now())
				if frame == nil && err == nil {
					break
				}
				if frame != nil {
					frames++
				}
			}
		}
		if frames != want {
			t.Errorf("%s: %d frames, want %d", name, frames, want)
		}
	}
}
