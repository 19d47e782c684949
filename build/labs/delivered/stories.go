package delivered

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// story is what takes days, or a clock of its own: a test of the product in a bubble of fake time.
type story struct {
	goal, pkg, test string

	long bool // of the full form alone: `make test` runs it among the tests of its package
}

func stories(full bool) []story {
	all := []story{
		{"1 denied for 3 days with a kill in between, then allowed: all within quota arrive, nothing twice but the window",
			"agent", "TestDeniedForThreeDays", false},
		{"4 one publish in 20 not acknowledged for 10 minutes", "agent/pump", "TestOnePubackInTwentyIsMissing", true},
		{"7 live frames beside a backlog, in virtual time", "agent/pump", "TestWhatIsReadNowIsNotHeldUp", true},
		{"7 killed 20 times beside a backlog and a stream that is held", "agent/pump", "TestKillsMeanwhile", true},
	}
	return slices.DeleteFunc(all, func(s story) bool { return s.long && !full })
}

// stories runs them, all of a package at once. One that is not there, or was skipped, is missed.
func (l lab) stories() error {
	byPackage := map[string][]string{}
	for _, s := range stories(l.o.Full) {
		byPackage[s.pkg] = append(byPackage[s.pkg], s.test)
	}
	passed, said := map[string]bool{}, map[string][]string{}
	for pkg, tests := range byPackage {
		if err := l.goTest(pkg, tests, passed, said); err != nil {
			return err
		}
	}
	for _, s := range stories(l.o.Full) {
		var err error
		if !passed[s.test] {
			err = fmt.Errorf("%s: %s did not pass: %s", s.pkg, s.test, strings.Join(said[s.test], " "))
		}
		l.t.Check(s.goal, err)
		for _, line := range said[s.test] {
			if _, text, ok := strings.Cut(line, "delivered: "); ok {
				l.t.Say("%s: %s", s.test, strings.TrimSpace(text))
			}
		}
	}
	return nil
}

func (l lab) goTest(pkg string, tests []string, passed map[string]bool, said map[string][]string) error {
	root, err := kit.Root()
	if err != nil {
		return err
	}
	run := "^(" + strings.Join(tests, "|") + ")$"
	cmd := exec.CommandContext(l.Ctx, "go", "test", "-json", "-timeout", "10m", "-run", run, "./"+pkg)
	cmd.Dir = root
	out, failed := cmd.Output() // a test that failed is a row
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e struct{ Action, Test, Output string }
		if json.Unmarshal(lines.Bytes(), &e) != nil || e.Test == "" {
			continue
		}
		test, _, _ := strings.Cut(e.Test, "/")
		switch e.Action {
		case "pass":
			passed[test] = passed[test] || test == e.Test
		case "output":
			said[test] = append(said[test], e.Output)
		}
	}
	if len(out) == 0 && failed != nil {
		return fmt.Errorf("go test ./%s: %w", pkg, failed)
	}
	return nil
}
