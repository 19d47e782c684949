package flood

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/rs/zerolog"
)

func TestABucketIsBoundedOverAnyTime(t *testing.T) {
	start := time.Unix(1e9, 0)
	for name, c := range map[string]struct {
		b     Bucket
		every time.Duration
		for_  time.Duration
		want  int
	}{
		"nothing":               {Bucket{}, time.Second, time.Hour, 0},
		"at once":               {Bucket{Burst: 10, PerMinute: 6}, 0, 0, 10},
		"a flood of an hour":    {Bucket{Burst: 10, PerMinute: 6}, 50 * time.Millisecond, time.Hour, 10 + 360},
		"slower than the limit": {Bucket{Burst: 10, PerMinute: 6}, 20 * time.Second, time.Hour, 180},
	} {
		taken := 0
		for i := range 100_000 {
			at := time.Duration(i) * c.every
			if at >= c.for_ && c.for_ > 0 {
				break
			}
			if c.b.Take(start.Add(at)) {
				taken++
			}
		}
		if taken < c.want-1 || taken > c.want {
			t.Errorf("%s: %d, want %d", name, taken, c.want)
		}
	}
	b := Bucket{Burst: 1, PerMinute: 1}
	if !b.Take(start) || b.Take(start.Add(-time.Hour)) || b.Take(start.Add(-time.Hour)) {
		t.Error("a clock that goes back gives something")
	}
}

func TestATallyTellsTheFirstAndCountsTheRest(t *testing.T) {
	var tally Tally
	start := time.Unix(1e9, 0)
	told, counted, lines := 0, int64(0), 0
	for s := range 600 { // ten minutes of one a second, of two kinds
		now := start.Add(time.Duration(s) * time.Second)
		for _, kind := range []string{"a", "b"} {
			if tally.Note(kind, 1, now) {
				told++
			}
		}
		for _, c := range tally.Due(now, false) {
			lines, counted = lines+1, counted+c.More
		}
	}
	for _, c := range tally.Due(start.Add(600*time.Second), true) {
		lines, counted = lines+1, counted+c.More
	}
	if told != 2 || lines > 2*10 || int64(told)+counted != 1200 {
		t.Errorf("%d told, %d counted in %d lines", told, counted, lines)
	}
	later := start.Add(time.Hour)
	if tally.Due(later, false); !tally.Idle() || !tally.Note("a", 1, later) {
		t.Error("after an hour of nothing the next is not a first one")
	}
	for i := range 10 * kindsMost {
		tally.Note(fmt.Sprint(i), 1, later)
	}
	if len(tally.kinds) > kindsMost {
		t.Errorf("%d kinds are kept", len(tally.kinds))
	}
}

func TestALogIsBoundedAndTellsHowManyThereWere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := NewLog(zerolog.New(&out))
		for range 100_000 {
			l.Warn("refused").Str("device", "meter").Msg("command refused")
		}
		if got := out.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "meter") {
			t.Errorf("%s", got)
		}
		time.Sleep(TallyEvery + time.Second)
		synctest.Wait()
		if got := out.String(); strings.Count(got, "\n") != 2 || !strings.Contains(got, `"more":99999`) {
			t.Errorf("after a minute: %s", got)
		}
		time.Sleep(10 * TallyEvery)
		l.Line(zerolog.InfoLevel, "port", 2).Msg("one")
		l.Line(zerolog.InfoLevel, "port", 2).Msg("two")
		l.Line(zerolog.InfoLevel, "port", 2).Msg("three")
		l.Flush()
		got := out.String()
		if strings.Count(got, "\n") != 5 || strings.Contains(got, "three") || !strings.Contains(got, `"more":1,`) {
			t.Errorf("at the end: %s", got)
		}
	})
}

func TestClip(t *testing.T) {
	for _, text := range []string{"", "short", strings.Repeat("é", 400), strings.Repeat("\xff", 400), "21 °C"} {
		got := Clip(text, 64)
		same := len(text) > 64 || got == text
		if len(got) > 64 || utf8.ValidString(text) != utf8.ValidString(got) || !same {
			t.Errorf("%q: %q", text, got)
		}
	}
}
