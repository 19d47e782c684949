package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func TestSummaryCountsTruthfully(t *testing.T) {
	lines := func(l ...string) string { return strings.Join(l, "\n") }
	tests := []struct {
		name   string
		events string
		strict bool
		last   string
		says   string
		code   int
	}{
		{"all pass", lines(`{"Action":"pass","Package":"p","Test":"TestA"}`, `{"Action":"pass","Package":"p","Test":"TestA/b"}`,
			`{"Action":"pass","Package":"p","Elapsed":0.1}`), true, "2 passed, 0 failed, 0 skipped", "ok    p", 0},
		{"a failure shows its output", lines(`{"Action":"output","Package":"p","Test":"TestA","Output":"why it broke\n"}`,
			`{"Action":"fail","Package":"p","Test":"TestA"}`, `{"Action":"fail","Package":"p"}`),
			false, "0 passed, 1 failed, 0 skipped", "why it broke", 1},
		{"does not compile", lines(`{"ImportPath":"p","Action":"build-output","Output":"x.go:1: undefined: y\n"}`,
			`{"Action":"fail","Package":"p","FailedBuild":"p"}`), false, "0 passed, 1 failed, 0 skipped", "undefined: y", 1},
		{"timed out in the middle of a test", lines(
			`{"Action":"output","Package":"p","Test":"TestA","Output":"panic: test timed out\n"}`,
			`{"Action":"fail","Package":"p"}`), false, "0 passed, 1 failed, 0 skipped", "timed out", 1},
		{"a skip gives its reason",
			lines(`{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:3: needs root\n"}`,
				`{"Action":"skip","Package":"p","Test":"TestA"}`, `{"Action":"pass","Package":"p"}`),
			false, "0 passed, 0 failed, 1 skipped", "needs root", 0},
		{"a skip in CI", lines(`{"Action":"skip","Package":"p","Test":"TestA"}`, `{"Action":"pass","Package":"p"}`),
			true, "0 passed, 0 failed, 1 skipped", "nothing may be skipped", 1},
		{"no test files", `{"Action":"skip","Package":"p"}`, true, "0 passed, 0 failed, 0 skipped", "", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			s := newSummary(&out)
			if err := s.read(strings.NewReader(tt.events)); err != nil {
				t.Fatal(err)
			}
			code := s.close(tt.strict)
			got := strings.Split(strings.TrimSpace(out.String()), "\n")
			if got[len(got)-1] != tt.last || code != tt.code || !strings.Contains(out.String(), tt.says) {
				t.Errorf("exit %d, output:\n%s\nwant exit %d, %q and last %q", code, out.String(), tt.code, tt.says, tt.last)
			}
		})
	}
}

func TestSlowestPackagesAreNamed(t *testing.T) {
	var out bytes.Buffer
	s := newSummary(&out)
	for i := range slowest + 2 {
		s.take(event{Action: "pass", Package: fmt.Sprint("p", i), Elapsed: float64(i) / 2})
	}
	s.take(event{Action: "skip", Package: "no test files", Elapsed: 99})
	s.close(false)
	_, list, _ := strings.Cut(out.String(), "slowest:\n")
	lines := strings.Split(strings.TrimSpace(list), "\n")
	if len(lines) != slowest+1 || strings.TrimSpace(lines[0]) != "5.5 s  p11" ||
		strings.TrimSpace(lines[slowest-1]) != "1.0 s  p2" {
		t.Errorf("%q", lines)
	}
}
