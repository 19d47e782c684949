package main

import (
	"github.com/spf13/cobra"

	"github.com/linkbeat/linkbeat/agent/operator"
	"github.com/linkbeat/linkbeat/cmd/internal/cli"
)

func newTap(b *broker) *cobra.Command {
	cmd := &cobra.Command{
		Use: "tap <device> <name>", Short: "show what goes over a remote serial port, both ways",
		Long: `Show live what gateway <device> reads (<) and writes (>) on the port of serial device <name>, with the
gateway's times and as hex digits and text. The port is not taken: frames, polls and commands go on. Ends
with ctrl-C. All bytes of the port go over the uplink a second time, and count against the data plan.

The gateway must allow it: console: true in its configuration. On the gateway itself: linkbeat tap <name>.

Exit status: 0 done, 1 the gateway refused or ended it, 2 no reply, 3 no session with the broker, 64 wrong use.`,
		Example:           "  linkbeatctl tap gw-17 meter",
		ValidArgsFunction: cli.Nth(b.deviceIDs, b.serialNames),
		RunE: func(cmd *cobra.Command, given []string) error {
			b.o.Notice = cli.Notice(cmd)
			t := operator.TapOptions{Device: given[0], Name: given[1], Who: who()}
			return operator.Tap(cmd.Context(), b.o, t, func(c operator.Chunk) error {
				_, err := cmd.OutOrStdout().Write(c.AppendDump(nil))
				return err
			})
		},
	}
	b.flags(cmd)
	return cmd
}
