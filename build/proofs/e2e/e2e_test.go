package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

func TestEndToEnd(t *testing.T) {
	for _, s := range Steps() {
		t.Run(s.Name, func(t *testing.T) {
			kit.Need(t, s.Needs...)
			t.Parallel()
			e := kit.Test(t, 3*time.Minute)
			table := kit.NewTable("e2e").Brief()
			if err := s.Run(e, table); err != nil {
				t.Fatal(err)
			}
			table.Judge(t)
		})
	}
}

func TestRecordingsAreText(t *testing.T) {
	for _, name := range Recordings() {
		b, err := recording(name)
		if err != nil {
			t.Fatal(err)
		}
		lines := kit.Lines(b)
		if len(lines) < 100 || strings.ContainsRune(string(b), 0) {
			t.Errorf("%s: %d lines, want a text recording of 100 or more", name, len(lines))
		}
	}
}
