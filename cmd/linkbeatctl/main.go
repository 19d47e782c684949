// Command linkbeatctl is the operator's program: it looks at a fleet through its broker, and speaks to one device of it.
//
// This package is flags, environment and exit codes; what they do is in package operator, and in package demo.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/linkbeat/linkbeat/agent/operator"
)

// Set by the linker: -X main.version=… -X main.buildTime=… (RFC 3339).
var (
	version   = "dev"
	buildTime = ""
)

// Exit codes beside 0. exitUsage is EX_USAGE of sysexits.h.
const (
	exitFailed      = 1 // the device said no, or the demo lost a frame
	exitNoReply     = 2
	exitUnreachable = 3
	exitUsage       = 64
)

func main() {
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
	root := newRoot(s)
	root.SetArgs(args)
	started := false
	for _, cmd := range root.Commands() {
		if do := cmd.RunE; do != nil {
			cmd.RunE = func(cmd *cobra.Command, args []string) error {
				started = true
				return do(cmd, args)
			}
		}
	}
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return 0
	case !started: // cobra has no type for the faults that it finds itself
		err = usageError{fmt.Errorf("%w; see linkbeatctl --help", err)}
	}
	fmt.Fprintln(s.err, "linkbeatctl:", err)
	return exitCode(err)
}

// usageError is a fault of the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func exitCode(err error) int {
	switch {
	case errors.As(err, new(usageError)), errors.Is(err, operator.ErrNoServer):
		return exitUsage
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
  linkbeatctl demo                                            the whole road on this machine, no set-up

Each flag of the broker can be set in the environment: LINKBEATCTL_SERVER for --server,
LINKBEATCTL_PASSWORD_FILE for --password-file and so on. A password itself goes only into
LINKBEATCTL_PASSWORD, since a command line is seen by everybody on the machine.

Exit status: 0 done, 1 the device said no, 2 no reply in time, 3 no session with the broker,
64 wrong use.`,
		Version: version, SilenceUsage: true, SilenceErrors: true,
	}
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	b := &broker{env: s.env}
	root.AddCommand(newDevices(b), newTail(b), newSend(b), newRequest(b), newConsole(b), newTap(b), newACL(s.env), newDemo(), newVersion())
	return root
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "print the version", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "linkbeatctl", version, buildTime)
			return err
		},
	}
}
