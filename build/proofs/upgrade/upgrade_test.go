package upgrade

import (
	"strings"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// TestUpgrade is `make upgrade`.
func TestUpgrade(t *testing.T) {
	kit.Need(t, "mosquitto")
	table := kit.NewTable("upgrade")
	if err := Run(kit.Test(t, 5*time.Minute), Options{Again: true}, table); err != nil {
		t.Fatal(err)
	}
	table.Judge(t)
}

func TestJudgeSaysNo(t *testing.T) {
	for name, c := range map[string]struct {
		want, got string
		d         difference
	}{
		"the same":             {"a b b c", "a b b c", difference{}},
		"one is missing":       {"a b b c", "a b c", difference{lost: 1}},
		"one came twice":       {"a b c", "a b b c", difference{more: 1}},
		"another content":      {"a b c", "a x c", difference{lost: 1, more: 1}},
		"the other way around": {"a b c", "a c b", difference{elsewhere: 2}},
		"nothing came":         {"a b", "", difference{lost: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			got := compare(strings.Fields(c.want), strings.Fields(c.got))
			if (got.note == "") != (c.d == difference{}) {
				t.Errorf("note %q", got.note)
			}
			if got.note = ""; got != c.d {
				t.Errorf("%+v, want %+v", got, c.d)
			}
		})
	}
}

func TestDumpLeavesOutTimesOnly(t *testing.T) {
	d := dumper{epochs: map[uint32]string{}}
	p := []byte("\x00\x00\x00\x00\x00\x00\x00\x21" + "\x00\x00\x00\x00\x00\x00\x00\x07" + "\x00\x00\x00\x00\x00\x00\x00\x05" +
		"\x00\x00\x01\x02\x03\x04\x05\x06" + "\xde\xad\xbe\xef" + "\x00\x01" + "m" + "\x01\x02")
	p[7] = byte(len(p) - 8)
	s := sum(p[4:])
	copy(p, []byte{byte(s >> 24), byte(s >> 16), byte(s >> 8), byte(s)})
	line, n := d.record(p, false)
	if want := `7 epoch1/5 of "m" kind 0: "\x01\x02"`; line != want || n != len(p) {
		t.Errorf("%s, %d bytes; want %s, %d", line, n, want, len(p))
	}
	p[len(p)-1]++
	if _, n := d.record(p, false); n != 0 {
		t.Error("a record with a wrong checksum passes")
	}
}

func TestEffectiveFormIsComparedByItsValues(t *testing.T) {
	less, more, err := leavesBeside([]byte("a: 1\nb: {c: x, d: [1, 2]}\n"), []byte("e: 5\nb: {d: [1, 3], c: x}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if len(less) != 2 || len(more) != 1 || more[0] != ".e" {
		t.Errorf("less %q, more %q", less, more)
	}
}

func TestNewSaid(t *testing.T) {
	const was = "a.yaml: warning: line 27: log.ship: reserved, no effect yet\n" +
		"a.yaml: warning: line 9: serial.bus.units[3].baud: is odd\n"
	for name, c := range map[string]struct {
		is   string
		want int
	}{
		"the same":                     {was, 0},
		"other words":                  {"a.yaml: warning: line 27: log.ship: is not supported in this version\n", 0},
		"another key":                  {"a.yaml: warning: line 27: log.level: is not supported in this version\n", 1},
		"another line":                 {"a.yaml: warning: line 28: log.ship: reserved, no effect yet\n", 1},
		"an error where a warning was": {"a.yaml: error: line 27: log.ship: reserved, no effect yet\n", 1},
		"twice":                        {was + "a.yaml: warning: line 9: serial.bus.units[3].baud: is even\n", 1},
		"of no key":                    {"a.yaml: cannot be read\n", 1},
		"fewer":                        {"", 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := newSaid([]byte(was), []byte(c.is)); len(got) != c.want {
				t.Errorf("%d new complaints %v, want %d", len(got), got, c.want)
			}
		})
	}
}
