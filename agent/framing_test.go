package agent

import (
	"fmt"
	"os"
	"path/filepath"
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
			spec := framingOf(d)
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
	needs := map[string]string{"delimiter": `, bytes: "0a"`, "idle": ", gap: 20ms", "fixed": ", size: 12", "length": ", width: 2, gap: 1s"}
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
		if _, err := framing.New(framingOf(doc.Serial["x"])); err != nil {
			t.Errorf("%s: %v", frame, err)
		}
	}
}
