package exec

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/agent/printable"
)

// sh is a command as tests write it; the product never asks a shell.
func sh(script string) []string { return []string{"/bin/sh", "-c", script} }

func TestCommands(t *testing.T) {
	t.Setenv("SECRET", "hunter2")
	for _, tt := range []struct {
		name string
		argv []string
		want string // of printable output
		err  string // contained in the error; empty: none
	}{
		{"plain", []string{"echo", "8944 500"}, "8944 500", ""},
		{"no shell", []string{"echo", "$HOME; id"}, "$HOME; id", ""},
		{"control bytes", []string{"printf", `a\033[31mb\n\tc`}, `a\x1b[31mb c`, ""},
		{"not UTF-8, and beyond ASCII", []string{"printf", `\303\251\377 \342\202\254`}, `é\xff €`, ""},
		{"endless", []string{"head", "-c", "100000", "/dev/zero"}, "", ""},
		{"long", []string{"printf", "%0999d", "0"}, strings.Repeat("0", 256), ""},
		{"failing", []string{"false"}, "", "exit status 1"},
		{"failing with a reason", sh("echo half; echo no modem >&2; exit 3"), "half", "exit status 3: no modem"},
		{"standard error is no output", sh("echo noise >&2; echo fact"), "fact", ""},
		{"missing", []string{"no-such-command-here"}, "", "no-such-command-here"},
		{"not a program", []string{"/"}, "", "is a directory"},
		{"nothing of our environment", []string{"env"},
			"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C", ""},
		{"nothing to read", []string{"cat"}, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, err := Program{Argv: tt.argv, Most: 256}.run(t.Context())
			if got := printable.Words(out, 256); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
			if (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%v, want %q", err, tt.err)
			}
		})
	}
}

func TestACommandThatTakesTooLongIsKilled(t *testing.T) {
	start := time.Now()
	_, err := Program{Argv: []string{"sleep", "3600"}, timeout: 50 * time.Millisecond}.run(t.Context())
	if !errors.Is(err, errTooSlow) || !strings.Contains(err.Error(), "after 50ms") {
		t.Errorf("%v", err)
	}
	if took := time.Since(start); took > time.Minute {
		t.Errorf("it took %v", took)
	}
}

// TestACommandEndsWithItsChildren has a shell wait for a child that outlives any test, and ends them as soon as both are there.
func TestACommandEndsWithItsChildren(t *testing.T) {
	pid, begun := filepath.Join(t.TempDir(), "pid"), fifo(t)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, _ = os.ReadFile(begun) // until the shell wrote and closed it
		cancel()
	}()
	out, err := Program{Argv: sh("sleep 3600 & echo $! >" + pid + "; echo begun; echo >" + begun + "; wait"), Most: 64,
		timeout: time.Minute}.run(ctx)
	if err == nil || errors.Is(err, errTooSlow) || printable.Words(out, 256) != "begun" {
		t.Errorf("%q, %v", out, err)
	}
	awaitGone(t, pid)
}

// TestWhatACommandLeavesRunningEnds: a child that holds the output open keeps nobody waiting, and does not stay.
func TestWhatACommandLeavesRunningEnds(t *testing.T) {
	pid := filepath.Join(t.TempDir(), "pid")
	out, err := Program{Argv: sh("sleep 3600 & echo $! >" + pid + "; echo done"), Most: 64}.run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "left something running") || printable.Words(out, 256) != "done" {
		t.Errorf("%q, %v", out, err)
	}
	awaitGone(t, pid)
}

// awaitGone waits until the process whose number a file holds is dead: a signal that was sent is not yet obeyed.
func awaitGone(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(10 * time.Second); alive(pid); {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("process %d lives on", pid)
		}
	}
}

// alive is false for a zombie too: in a container nobody may reap an orphan.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	_, rest, _ := strings.Cut(string(stat), ") ")
	return err == nil && !strings.HasPrefix(rest, "Z")
}
