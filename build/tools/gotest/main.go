// Command gotest runs `go test -json` with the arguments it got, prints only what a person must see (packages, and the
// whole output of what failed or was skipped), names the packages that took longest, and ends with a line that counts: "N passed,
// N failed, N skipped". A `--` among the arguments starts a second go test after the first; all are counted together.
//
// Every test and subtest counts as one; a package that fails without naming a test (it does not compile, it timed out)
// counts as one failure. Exit 1 on any failure, and with CI set also when anything was skipped.
package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"syscall"
)

func main() {
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM) // go test gets them too, from the terminal, and ends; we still count
	os.Exit(run(os.Args[1:], os.Stdout))
}

func run(args []string, out io.Writer) int {
	s := newSummary(out)
	for len(args) > 0 {
		group := args
		args = nil
		if i := slices.Index(group, "--"); i >= 0 {
			group, args = group[:i], group[i+1:]
		}
		if err := s.goTest(group); err != nil {
			fmt.Fprintln(os.Stderr, "gotest:", err)
			s.failed++
		}
	}
	return s.close(os.Getenv("CI") != "")
}

// goTest runs one go test and takes its events. Its error is what no event told.
func (s *summary) goTest(args []string) error {
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = os.Stderr
	events, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return err
	}
	before := s.failed
	readErr := s.read(events)
	testErr := cmd.Wait()
	if readErr != nil {
		return fmt.Errorf("read go test's output: %w", readErr)
	}
	if testErr != nil && s.failed == before { // go test says no and named nothing: never pass that by
		return fmt.Errorf("go test: %w", testErr)
	}
	return nil
}
