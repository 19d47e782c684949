package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// cobra writes what it finds about completions past the edges.
func TestCompletionsTellNobodyRaw(t *testing.T) {
	file := filepath.Join(t.TempDir(), "debug")
	t.Setenv("BASH_COMP_DEBUG_FILE", file)
	for _, args := range [][]string{{"__complete", "--\x1b[2J", ""}, {"__completeNoDesc", "a\u202e", "--\a"}} {
		if got := strings.Join(quiet(args), " "); strings.ContainsAny(got, "\x1b\a\u202e") || !strings.Contains(got, `\x`) &&
			!strings.Contains(got, `\u202e`) {
			t.Errorf("%q", got)
		}
	}
	if os.Getenv("BASH_COMP_DEBUG_FILE") != "" {
		t.Error("the debug file is on")
	}
	if got := quiet([]string{"send", "\x1b"}); got[1] != "\x1b" { // to a device
		t.Errorf("%q", got)
	}
}
