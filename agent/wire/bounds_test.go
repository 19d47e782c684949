package wire

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// allocated is what f allocates in all, in bytes: more than it ever holds.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// of is a JSON array of so many bytes or a little more.
func of(element string, bytes int) []byte {
	return []byte("[" + strings.Repeat(element+",", bytes/(len(element)+1)) + element + "]")
}

// TestAHostilePayloadTakesLittleMemory: 32,648 bytes of gzip took tail to 3.3 GB.
func TestAHostilePayloadTakesLittleMemory(t *testing.T) {
	const most = 56 << 20 // bytes, in all
	record := `{"seq":1,"ts":1,"epoch":"0a1b2c3d","text":"x"}`
	for name, p := range map[string][]byte{
		"empty objects":          of("{}", 32<<20),
		"empty objects that fit": of("{}", MaxPayload-8),
		"numbers":                of("1", MaxPayload-8),
		"nulls":                  of("null", MaxPayload-8),
		"records":                of(record, MaxPayload-64),
		"entries":                of(`{"n":"a","v":1,"seq":1,"epoch":"a"}`, MaxPayload-64),
		"entries of one record": []byte(`[{"bn":"a/b/","n":"a","v":1,"seq":1,"epoch":"a"},` +
			string(of(`{"n":"a","v":1}`, MaxPayload/2)[1:])),
		"values of one record": []byte(`{"seq":1,"ts":1,"epoch":"a","values":{"x":1` +
			strings.Repeat(`,"a":1`, MaxPayload/7) + `}}`),
		"depth":            []byte(strings.Repeat("[", MaxPayload-1)),
		"depth in a field": []byte(`[{"seq":1,"v":` + strings.Repeat("[", MaxPayload/2)),
		"a string":         []byte(`{"seq":1,"ts":1,"epoch":"a","text":"` + strings.Repeat("x", MaxPayload/2) + `"}`),
		"no UTF-8":         []byte(`{"seq":1,"ts":1,"epoch":"a","text":"` + strings.Repeat("\xff", MaxPayload/2) + `"}`),
		"backslashes":      []byte(`{"seq":1,"ts":1,"epoch":"a","text":"` + strings.Repeat(`\u0001`, MaxPayload/7) + `"}`),
	} {
		t.Run(name, func(t *testing.T) {
			z := Gzip(p)
			n := allocated(func() {
				if p, err := Gunzip(z, MaxPayload); err == nil {
					_, _ = ParsePayload(p)
				}
			})
			if n > most {
				t.Errorf("%d bytes of gzip, %d of JSON: %d were allocated", len(z), len(p), n)
			}
			n = allocated(func() {
				_, _ = ParseReply(p)
				_, _ = ParseInfo(p)
				_, _ = ParseState(p)
				_, _ = ParseConsoleUp(p)
			})
			if n > 2*most {
				t.Errorf("as other messages: %d bytes were allocated", n)
			}
		})
	}
}

func TestWhatIsReadOfAPayload(t *testing.T) {
	record := func(i int) string { return fmt.Sprintf(`{"seq":%d,"ts":1,"epoch":"0a1b2c3d","text":"x"}`, i+1) }
	pack := func(i int) string {
		return fmt.Sprintf(`{"bn":"a/b/","n":"frame","vs":"x","seq":%d,"epoch":"0a1b2c3d"}`, i+1)
	}
	for name, tt := range map[string]struct {
		element func(int) string
		n, want int
		err     error
	}{
		"as many as there may be":          {record, MaxRecords, MaxRecords, nil},
		"one more":                         {record, MaxRecords + 1, MaxRecords, ErrTooMuch},
		"as many of SenML as there may be": {pack, MaxRecords, MaxRecords, nil},
		"one more of SenML":                {pack, MaxRecords + 1, MaxRecords, ErrTooMuch},
		"a bad one": {func(i int) string {
			if i == 7 {
				return "{}"
			}
			return record(i)
		}, 10, 0, errNoRecords},
	} {
		var all []string
		for i := range tt.n {
			all = append(all, tt.element(i))
		}
		records, err := ParsePayload([]byte("[" + strings.Join(all, ",") + "]"))
		if len(records) != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s: %d records, %v", name, len(records), err)
		}
	}
	if _, err := ParsePayload([]byte(strings.Repeat("1,", MaxMembers))); !errors.Is(err, errNoRecords) {
		t.Errorf("bytes that are no JSON: %v", err)
	}
}

// A list ends at its first bad element: what stands behind is not looked at.
func TestAListIsReadUpToTheFirstBadElement(t *testing.T) {
	for _, p := range []string{`[{"seq":1,"epoch":"a","text":"x"},{"seq":"no"},{]]]`, `[{"seq":1,"epoch":"a","text":"x"}`,
		`[{"seq":1,"epoch":"a","text":"x"}] [`, `[{"seq":1,"epoch":"a","text":"x"},]`} {
		if records, err := ParsePayload([]byte(p)); err == nil || records != nil {
			t.Errorf("%s: %+v", p, records)
		}
	}
}
