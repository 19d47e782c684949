// Command linkbeatctl is the operator's program: it looks at a fleet through its broker, and speaks to one device of it.
//
// This package is flags, environment and exit codes; what they do is in package operator, and in package demo.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/linkbeat/linkbeat/agent/operator"
	"github.com/linkbeat/linkbeat/cmd/internal/cli"
)

// Set by the linker: -X main.version=… -X main.commit=… -X main.buildTime=… (RFC 3339).
var (
	version   = "dev"
	commit    = ""
	buildTime = ""
)

// Exit codes beside 0 and cli.ExitUsage.
const (
	exitFailed      = 1 // the gateway or the device refused or failed, or the demo did not show what it should
	exitNoReply     = 2
	exitUnreachable = 3
)

// memoryLimit is where garbage is collected earlier, in bytes: a broker decides how much there is of it, and what is held at
// once is bounded far below.
const memoryLimit = 32 << 20

func main() {
	debug.SetMemoryLimit(memoryLimit)
	signals := []os.Signal{syscall.SIGINT, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	context.AfterFunc(ctx, stop) // the second one kills: an output that takes nothing may hold us
	os.Exit(run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr, os.LookupEnv}))
}

// streams are what a program has from its surroundings.
type streams struct {
	in       io.Reader
	out, err io.Writer
	env      func(name string) (string, bool)
}

// run is the program as a func that tests call; it returns the exit code.
func run(ctx context.Context, args []string, s streams) int {
	return cli.Run(ctx, newRoot(s), args, exitCode)
}

func exitCode(err error) int {
	switch {
	case errors.Is(err, operator.ErrNoServer), errors.Is(err, operator.ErrArgument):
		return cli.ExitUsage
	case errors.Is(err, operator.ErrNoReply):
		return exitNoReply
	case errors.Is(err, operator.ErrUnreachable):
		return exitUnreachable
	}
	return exitFailed
}

func newRoot(s streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "linkbeatctl",
		Short: "look at a fleet of linkbeat gateways, and speak to their devices",
		Long: `linkbeatctl looks at a fleet of linkbeat gateways through its broker, and speaks to their devices.

  linkbeatctl devices --server mqtts://broker.example.net     who is online
  linkbeatctl tail gw-17 meter                                what a device says, live
  linkbeatctl send gw-17 meter 'READ?'                        write to a device, wait for the reply
  linkbeatctl request gw-17 meter 'READ?'                     ask it, print its answer
  linkbeatctl console gw-17 plc                               its port as a terminal here
  linkbeatctl acl --for mosquitto                             the access rules that a gateway needs
  linkbeatctl demo                                            see it work on this machine, without any set-up

Each flag of the broker can be set in the environment: LINKBEATCTL_SERVER for --server,
LINKBEATCTL_PASSWORD_FILE for --password-file and so on. A password itself goes only into
LINKBEATCTL_PASSWORD, since every user of a machine can see its command lines.

Exit status: 0 done, 1 refused or failed, 2 no reply in time, 3 no session with the broker,
64 wrong use.`,
	}
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	b := &broker{env: s.env}
	root.AddCommand(newDevices(b), newTail(b), newSend(b), newRequest(b), newConsole(b), newTap(b), newACL(s.env), newDemo())
	return cli.New(root, cli.NewVersion("linkbeatctl", version, commit, buildTime))
}
