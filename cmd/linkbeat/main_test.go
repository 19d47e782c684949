package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"linkbeat": func() { os.Exit(run(os.Args[1:])) }})
}

// TestScripts runs testdata/*.txt, each a page of what a person types and sees.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata", Setup: func(e *testscript.Env) error {
		e.Setenv("STATE", e.WorkDir+"/state")
		return nil
	}})
}

func TestExitCodes(t *testing.T) {
	t.Setenv("LINKBEAT_STATE_DIR", t.TempDir())
	for name, c := range map[string]struct {
		args []string
		want int
	}{
		"fine":              {[]string{"version"}, 0},
		"no such command":   {[]string{"stauts"}, 1},
		"bad configuration": {[]string{"check", "-c", "/dev/null"}, 1},
		"no agent":          {[]string{"status", "--listen", "127.0.0.1:1"}, exitNoAgent},
		"no such flag":      {[]string{"diag", "--nope"}, exitUsage},
		"too much":          {[]string{"diag", "mqtt://broker"}, exitUsage},
		"no usable uplink":  {[]string{"run", "-c", "/dev/null"}, exitConfig},
	} {
		t.Run(name, func(t *testing.T) {
			if got := run(c.args); got != c.want {
				t.Fatalf("exit code %d, want %d", got, c.want)
			}
		})
	}
}
