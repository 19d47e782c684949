package main

import (
	"context"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/linkbeat/linkbeat/agent/statuspage"
	"github.com/linkbeat/linkbeat/cmd/internal/cli"
)

// newTap shows the traffic of a port, from the running agent: the port stays its own.
func newTap() *cobra.Command {
	var listen string
	cmd := &cobra.Command{
		Use: "tap <name>", Short: "show what goes over a serial port, both ways",
		Long: `Show live what the running agent reads (<) and writes (>) on the port of device <name>, with times and
as hex digits and text. The port is not opened a second time, and frames go on. Ends with ctrl-C. The
agent's page on http.listen answers this to the gateway itself alone.

Exit status: 0 done, 3 no agent answers, or it has no such device, 64 wrong use.`,
		Example:           "  linkbeat tap meter",
		ValidArgsFunction: cli.Nth(devicesOf),
		RunE: func(cmd *cobra.Command, given []string) error {
			addr, err := pageAddr(cmd, listen)
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			if err := statuspage.Tap(ctx, addr, given[0], cmd.OutOrStdout()); err != nil {
				return exitError{exitNoAgent, err}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "", "`host:port` of the agent's page (default: http.listen of the configuration)")
	return cmd
}
