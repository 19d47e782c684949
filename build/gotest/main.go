// Command gotest runs `go test -json` with the arguments it got, prints only what a person must see (packages, and the
// whole output of what failed or was skipped), and ends with a line that counts: "N passed, N failed, N skipped".
// Every test and subtest counts as one; a package that fails without naming a test (it does not compile, it timed out)
// counts as one failure. Exit 1 on any failure, and with CI set also when anything was skipped.
package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

func main() {
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM) // go test gets them too, from the terminal, and ends; we still count
	os.Exit(run(os.Args[1:], os.Stdout))
}

func run(args []string, out io.Writer) int {
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = os.Stderr
	events, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gotest:", err)
		return 1
	}
	s := newSummary(out)
	readErr := s.read(events)
	testErr := cmd.Wait()
	if readErr != nil {
		fmt.Fprintln(os.Stderr, "gotest: read go test's output:", readErr)
	}
	if testErr != nil && s.failed == 0 {
		s.failed++ // go test itself says no and named nothing: never pass that by
		fmt.Fprintln(os.Stderr, "gotest: go test:", testErr)
	}
	return s.close(os.Getenv("CI") != "" && readErr == nil)
}
