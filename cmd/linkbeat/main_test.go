package main

import (
	"bytes"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/linkbeat/linkbeat/cmd/internal/cli"
	"github.com/linkbeat/linkbeat/cmd/internal/cli/clitest"
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
		"fine":                            {[]string{"version"}, 0},
		"no such command":                 {[]string{"stauts"}, cli.ExitUsage},
		"bad configuration":               {[]string{"check", "-c", "/dev/null"}, 1},
		"no agent":                        {[]string{"status", "--listen", "127.0.0.1:1"}, exitNoAgent},
		"no agent to reload":              {[]string{"reload", "--socket", "/nowhere/linkbeat.sock"}, exitNoAgent},
		"no agent to reconnect":           {[]string{"reconnect", "--socket", "/nowhere/linkbeat.sock"}, exitNoAgent},
		"no agent to tap":                 {[]string{"tap", "meter", "--socket", "/nowhere/linkbeat.sock"}, exitNoAgent},
		"a socket and a page":             {[]string{"status", "--socket", "/s", "--listen", "127.0.0.1:1"}, cli.ExitUsage},
		"no such flag":                    {[]string{"diag", "--nope"}, cli.ExitUsage},
		"too much":                        {[]string{"diag", "mqtt://broker"}, cli.ExitUsage},
		"no name":                         {[]string{"tap"}, cli.ExitUsage},
		"not host:port":                   {[]string{"status", "--listen", "nowhere"}, cli.ExitUsage},
		"negative":                        {[]string{"probe", "--min", "-1s", "mqtt://broker"}, cli.ExitUsage},
		"no topic of its own for a probe": {[]string{"probe", "--topic", "a", "mqtt://broker"}, cli.ExitUsage},
		"no such scheme":                  {[]string{"probe", "gopher://broker"}, cli.ExitUsage},
		"a flag for another one":          {[]string{"check", "--json", "-c", "/dev/null"}, cli.ExitUsage},
		"help":                            {[]string{"help", "check"}, 0},
		"no usable uplink":                {[]string{"run", "-c", "/dev/null"}, exitConfig},
	} {
		t.Run(name, func(t *testing.T) {
			if got := run(c.args); got != c.want {
				t.Fatalf("exit code %d, want %d", got, c.want)
			}
		})
	}
}

func TestCommandLine(t *testing.T) {
	clitest.Habits(t, clitest.Program{Root: newRoot(), Run: func(t *testing.T, args ...string) (int, string) {
		t.Helper()
		var stderr bytes.Buffer
		root := newRoot()
		root.SetOut(t.Output())
		root.SetErr(&stderr)
		return cli.Run(t.Context(), root, args, exitCode), stderr.String()
	}})
}
