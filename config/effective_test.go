package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestDiff(t *testing.T) {
	before := mustParse(t, server+"serial: {meter: {port: /dev/ttyUSB0}, old: {port: /dev/ttyUSB9}}\n", ParseOptions{})
	after := mustParse(t, `uplink: {servers: [{url: mqtts://b.example.net}], username: u, password: hunter2, detect_within: 6s}
device: {groups: [north]}
serial: {meter: {port: /dev/ttyUSB0, baud: 19200, rs485: {mode: rts, delay_after: 1ms}}}
`, ParseOptions{})
	var got []string
	for _, c := range Diff(before, after) {
		if !strings.HasPrefix(c.Path, "serial.old.") {
			got = append(got, c.String())
		} else if c.New != "" {
			t.Errorf("%s: the device is gone", c)
		}
	}
	want := []string{
		`device.groups[0]: added "north"`,
		`serial.meter.baud: 9600 → 19200`,
		`serial.meter.rs485.delay_after: 0s → 1ms`,
		`serial.meter.rs485.mode: "" → "rts"`,
		`uplink.detect_within: 1m → 6s`,
		`uplink.password: added <secret>`,
		`uplink.servers[0].url: "mqtts://a.example.net" → "mqtts://b.example.net"`,
		`uplink.username: "" → "u"`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if same := Diff(after, after); len(same) > 0 {
		t.Errorf("differs from itself: %v", same)
	}
	other := *after
	other.Uplink.Password = NewSecret("hunter3")
	if c := Diff(after, &other); len(c) != 1 || c[0].String() != "uplink.password: <secret> → <secret>" {
		t.Errorf("%v", c)
	}
}

func TestEffectiveReadsBack(t *testing.T) {
	files, err := filepath.Glob("testdata/good/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		doc := mustParse(t, string(src), goldenEnv())
		again, _, err := Parse(doc.Effective(), ParseOptions{})
		if err != nil {
			t.Errorf("%s: %v\n%s", file, err, doc.Effective())
			continue
		}
		for _, c := range Diff(doc, again) {
			if c.Old != c.New { // what is hidden reads back as such
				t.Errorf("%s: %s", file, c)
			}
		}
	}
}
