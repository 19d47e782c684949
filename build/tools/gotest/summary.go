package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// event is one line of `go test -json` (go doc test2json).
type event struct {
	Action     string
	Package    string
	ImportPath string // of build-output
	Test       string
	Output     string
	Elapsed    float64
}

// name of a test, or of a package when test is empty.
type name struct{ pkg, test string }

type summary struct {
	out                     io.Writer
	passed, failed, skipped int

	output      map[name][]string // of tests that still run
	failedTests map[string]int    // by package
	skips       []string
	took        []packageTime
}

// packageTime is how long the tests of a package took, without compiling them.
type packageTime struct {
	name    string
	seconds float64
}

// slowest is how many packages are named at the end.
const slowest = 10

func newSummary(out io.Writer) *summary {
	return &summary{out: out, output: map[name][]string{}, failedTests: map[string]int{}}
}

// read consumes the events to their end.
func (s *summary) read(r io.Reader) error {
	sc := bufio.NewScanner(r)
	sc.Buffer(make([]byte, 64<<10), 16<<20)
	for sc.Scan() {
		var e event
		if err := json.Unmarshal(sc.Bytes(), &e); err != nil {
			fmt.Fprintln(s.out, sc.Text()) // not an event: say it as it is
			continue
		}
		s.take(e)
	}
	return sc.Err()
}

func (s *summary) take(e event) {
	n := name{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		fmt.Fprint(s.out, e.Output)
	case "output":
		s.output[n] = append(s.output[n], e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			s.endPackage(e)
		} else {
			s.endTest(e)
		}
		delete(s.output, n)
	}
}

func (s *summary) endTest(e event) {
	n := name{e.Package, e.Test}
	switch e.Action {
	case "pass":
		s.passed++
	case "fail":
		s.failed++
		s.failedTests[e.Package]++
		s.print(n)
	case "skip":
		s.skipped++
		s.skips = append(s.skips, fmt.Sprintf("skipped: %s %s: %s", e.Package, e.Test, reason(s.output[n])))
	}
}

func (s *summary) endPackage(e event) {
	if e.Action == "skip" {
		return // no test files: nothing was skipped
	}
	word := "ok  "
	if e.Action == "fail" {
		word = "FAIL"
		if s.failedTests[e.Package] == 0 {
			s.failed++
			s.printRest(e.Package)
		}
	}
	s.took = append(s.took, packageTime{e.Package, e.Elapsed})
	fmt.Fprintf(s.out, "%s  %s  %.1f s\n", word, e.Package, e.Elapsed)
}

// printRest shows what a package said before it broke down outside of any finished test: a panic, a timeout.
func (s *summary) printRest(pkg string) {
	for n := range s.output {
		if n.pkg == pkg {
			s.print(n)
		}
	}
}

func (s *summary) print(n name) {
	for _, line := range s.output[n] {
		fmt.Fprint(s.out, line)
	}
}

// reason is what t.Skip said, without the frame that go test puts around it.
func reason(output []string) string {
	var words []string
	for _, line := range output {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "=== ") || strings.HasPrefix(line, "--- ") {
			continue
		}
		words = append(words, line)
	}
	return strings.Join(words, " ")
}

// printSlowest names the packages that took longest, the first one first.
func (s *summary) printSlowest() {
	slices.SortStableFunc(s.took, func(a, b packageTime) int { return cmp.Compare(b.seconds, a.seconds) })
	for i, p := range s.took[:min(len(s.took), slowest)] {
		if i == 0 {
			fmt.Fprintln(s.out, "slowest:")
		}
		fmt.Fprintf(s.out, "%7.1f s  %s\n", p.seconds, p.name)
	}
}

// close prints the slowest packages, the skips and the counts; strict makes a skip a failure.
func (s *summary) close(strict bool) int {
	s.printSlowest()
	for _, line := range s.skips {
		fmt.Fprintln(s.out, line)
	}
	code := 0
	if s.failed > 0 {
		code = 1
	}
	if strict && s.skipped > 0 {
		fmt.Fprintln(s.out, "nothing may be skipped in CI")
		code = 1
	}
	fmt.Fprintf(s.out, "%d passed, %d failed, %d skipped\n", s.passed, s.failed, s.skipped)
	return code
}
