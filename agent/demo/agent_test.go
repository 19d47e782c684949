package demo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// program writes an executable that stands for the agent.
func program(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "linkbeat")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAgentsThatDoNotRun(t *testing.T) {
	crashing := "echo 'panic: out of luck'\nfor i in $(seq 200); do echo goroutine $i; done\nexit 2\n"
	for agent, want := range map[string]string{
		"no/such/program": "build it (make build)",
		t.TempDir():       "build it",
		program(t, "echo no such luck\nexit 1\n"): "no such luck",
		program(t, crashing):                      "panic: out of luck\n…\ngoroutine ",
	} {
		_, err := Run(t.Context(), Options{Out: &strings.Builder{}, Agent: agent})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", agent, err)
		}
	}
}

func TestExcerptBeginsWithTheReason(t *testing.T) {
	stack := strings.Repeat("goroutine 1 [running]:\n", 200)
	for _, tt := range []struct {
		name, log, first string // first line of the excerpt
	}{
		{"empty", " \n", "nothing"},
		{"short", "one\ntwo\n", "one"},
		{"long, no crash", "one\n" + stack, "goroutine 1 [running]:"},
		{"panic", "one\npanic: why\n" + stack, "panic: why"},
		{"panic in another one", "panic: first\n\tpanic: second\n" + stack, "panic: first"},
		{"fault of the runtime", "one\nfatal error: out of memory\n" + stack, "fatal error: out of memory"},
		{"signal", "SIGSEGV: segmentation violation\n" + stack, "SIGSEGV: segmentation violation"},
		{"panic near the end", stack + "panic: why\nend", "goroutine 1 [running]:"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := excerpt(tt.log)
			if first, _, _ := strings.Cut(got, "\n"); first != tt.first {
				t.Errorf("begins with %q", first)
			}
			if len(got) > excerptBytes+200 {
				t.Errorf("%d bytes", len(got))
			}
			if tt.name == "panic near the end" && !strings.Contains(got, "panic: why\nend") {
				t.Errorf("the end is missing: %q", got)
			}
		})
	}
}
