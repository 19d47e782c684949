package main

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/linkbeat/linkbeat/agent/demo"
	"github.com/linkbeat/linkbeat/agent/printable"
	"github.com/linkbeat/linkbeat/cmd/internal/cli"
)

func newDemo() *cobra.Command {
	var seconds int
	var asJSON bool
	o := demo.Options{}
	cmd := &cobra.Command{
		Use: "demo", Short: "show on this machine what linkbeat does, without any set-up",
		Long: `Show on this machine what linkbeat is for, with nothing but this program and linkbeat: a broker on loopback, a
pseudo-terminal that plays the recording of a GPS receiver, the real agent, and a carrier NAT in user space between
the agent and the broker. The NAT forgets a connection that is silent for longer than a limit of 4 to 9 s, which is
drawn at random and not told to the agent. The agent finds it out; an ordinary MQTT client with a keepalive of 60 s
beside it does not. Commands go to both, and the path is cut for a while. At the end a table shows the limit, what the
agent has proven, and which commands and frames arrived.

The demo needs no special rights, writes only into a temporary folder, and ends after --seconds or with ctrl-C.
30 s are enough to find any limit; with less than 20 s no commands are sent.

Exit status: 0 all is as it should be; 1 a frame was lost or altered, or after 30 s or more less than 90 % of the
limit was proven, or something did not start; 64 wrong use.`,
		Example: `  linkbeatctl demo --seconds 30
  linkbeatctl demo --agent dist/linkbeat --seconds 30 --seed 7
  linkbeatctl demo --seconds 30 --json > outcome.json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if seconds < 0 {
				return cli.Usagef("--seconds %d: must be 0 or more", seconds)
			}
			o.Out, o.For = cmd.OutOrStdout(), time.Duration(seconds)*time.Second
			if asJSON {
				o.Out = cmd.ErrOrStderr()
			}
			outcome, err := demo.Run(cmd.Context(), o)
			if asJSON && outcome.Seed != 0 {
				err = errors.Join(err, printable.Encode(cmd.OutOrStdout(), outcome, true))
			}
			return err
		},
	}
	cmd.Flags().StringVar(&o.Agent, "agent", "", "the linkbeat `program` (default: beside this one, else in $PATH)")
	cmd.Flags().IntVar(&seconds, "seconds", 0, "end after this many `seconds`; 0: with ctrl-C")
	cmd.Flags().Uint64Var(&o.Seed, "seed", 0, "the same `number` draws the same limit; 0: another one each time")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the outcome as JSON, and the story on standard error")
	cmd.Flags().BoolVar(&o.Keep, "keep", false, "keep the temporary folder with configuration, spool and log of the agent")
	return cmd
}
