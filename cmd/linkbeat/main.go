// Command linkbeat runs on the gateway: it keeps an MQTT uplink open and relays serial devices over it.
//
// This package is flags, signals and exit codes; what they do is in package agent and below.
package main

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/linkbeat/linkbeat/cmd/internal/cli"
	"github.com/linkbeat/linkbeat/config"
)

// Set by the linker: -X main.version=… -X main.commit=… -X main.buildTime=… (RFC 3339).
var (
	version   = "dev"
	commit    = ""
	buildTime = ""
)

// Exit codes beside 0, 1 and cli.ExitUsage. exitConfig is EX_CONFIG of sysexits.h: systemd's RestartPreventExitStatus knows it.
const (
	exitNoAgent = 3
	exitConfig  = 78
)

// exitError ends the program with a code of its own. Without err it says nothing more.
type exitError struct {
	code int
	err  error
}

func (e exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e exitError) Unwrap() error { return e.err }

func main() { os.Exit(run(os.Args[1:])) }

// run is the program as a func that tests call; it returns the exit code.
func run(args []string) int { return cli.Run(context.Background(), newRoot(), args, exitCode) }

func exitCode(err error) int {
	var exit exitError
	if errors.As(err, &exit) {
		return exit.code
	}
	return 1
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "linkbeat",
		Short: "keep an uplink open and relay serial devices over it",
		Long: `linkbeat keeps an MQTT uplink open from a gateway behind carrier NAT, and relays serial
devices over it: every frame is stored until the broker has acknowledged it.

  linkbeat template > linkbeat.yaml    a commented configuration; only uplink.servers must be set
  linkbeat check -c linkbeat.yaml      every fault of it at once
  linkbeat run -c linkbeat.yaml        run the agent
  linkbeat status -c linkbeat.yaml     how the running agent is
  linkbeat reload -c linkbeat.yaml     have it read its configuration again
  linkbeat diag -c linkbeat.yaml       why is it offline? step by step
  linkbeat probe -c linkbeat.yaml      how long the path to the server may stay silent

Exit status: 0 done, 1 failed, 64 wrong use; commands have more, see their help.`,
	}
	root.PersistentFlags().StringP("config", "c", config.DefaultFile, "configuration `file`")
	root.AddCommand(newRun(), newCheck(), newTemplate(), newPorts(), newProbe(), newDiag(), newStatus(), newTap(), newReconnect(),
		newReload())
	cli.Files(root, []string{"yaml", "yml"}, "config")
	return cli.New(root, programVersion())
}

func programVersion() cli.Version { return cli.NewVersion("linkbeat", version, commit, buildTime) }
