package demo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAgentsThatDoNotRun(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "linkbeat")
	if err := os.WriteFile(broken, []byte("#!/bin/sh\necho no such luck\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for program, want := range map[string]string{"no/such/program": "build it (make build)", t.TempDir(): "build it", broken: "no such luck"} {
		err := Run(t.Context(), Options{Out: &strings.Builder{}, Agent: program})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", program, err)
		}
	}
}
