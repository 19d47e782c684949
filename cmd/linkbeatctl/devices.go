package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/linkbeat/linkbeat/agent/operator"
	"github.com/linkbeat/linkbeat/agent/printable"
	"github.com/linkbeat/linkbeat/cmd/internal/cli"
)

func newDevices(b *broker) *cobra.Command {
	var asJSON bool
	var settle time.Duration
	cmd := &cobra.Command{
		Use: "devices", Short: "list gateways: who is online, since when, with which version", Aliases: []string{"ls"},
		Long: `List the gateways that the broker knows of, from what it has retained: who is online, since when, its
version, the server it is connected to, its beat and its ports. "was" is when an offline one had connected.

Exit status: 0 done, also when no gateway is known, 3 no session with the broker, 64 wrong use.`,
		Example: `  linkbeatctl devices --server mqtts://broker.example.net --user ada --password-file ~/.linkbeat
  linkbeatctl devices --json | jq -r 'select(.state.online | not) | .device'`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if settle <= 0 {
				return cli.Usagef("--settle %v: must be above 0", settle)
			}
			b.o.Notice = func(s string) { _ = printable.Fprintf(cmd.ErrOrStderr(), "! %s\n", s) }
			devices, err := operator.Devices(cmd.Context(), b.o, settle)
			if err != nil {
				return err
			}
			if len(devices) == 0 {
				_ = printable.Fprintf(cmd.ErrOrStderr(),
					"no gateway is known under %s: check --prefix, and that user %q may read it\n",
					b.prefix, b.o.Username)
			}
			return operator.PrintDevices(cmd.OutOrStdout(), devices, asJSON, time.Now())
		},
	}
	b.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	cmd.Flags().DurationVar(&settle, "settle", time.Second,
		"how long nothing retained must come before the list counts as complete; at most 30 s, or twice this")
	return cmd
}
