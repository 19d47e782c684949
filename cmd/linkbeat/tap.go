package main

import (
	"github.com/spf13/cobra"

	"github.com/linkbeat/linkbeat/cmd/internal/cli"
)

// newTap shows the traffic of a port, from the running agent: the port stays its own.
func newTap() *cobra.Command {
	var f localFlags
	cmd := &cobra.Command{
		Use: "tap <name>", Short: "show what goes over a serial port, both ways",
		Long: `Show live what the running agent reads (<) and writes (>) on the port of device <name>, with times and
as hex digits and text. The port is not opened a second time, and frames go on. Ends with ctrl-C.

The agent is asked over its socket: for root, its user and its group. One of an earlier version has no
socket; it is asked on http.listen, and stderr says so.

Exit status: 0 done, 3 no agent answers, it may not be asked, or it has no such device, 64 wrong use.`,
		Example:           "  linkbeat tap meter",
		ValidArgsFunction: cli.Nth(devicesOf),
		RunE: func(cmd *cobra.Command, given []string) error {
			where, err := f.where(cmd)
			if err != nil {
				return err
			}
			ctx, stop := interrupted(cmd.Context(), 0)
			defer stop()
			if err := where.Tap(ctx, given[0], cmd.OutOrStdout()); err != nil {
				return exitError{exitNoAgent, err}
			}
			return nil
		},
	}
	f.addListen(cmd)
	return cmd
}
