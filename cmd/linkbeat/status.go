package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/linkbeat/linkbeat/agent/printable"
	"github.com/linkbeat/linkbeat/agent/statuspage"
)

// statusWithin is how long an agent has to say how it is.
const statusWithin = 5 * time.Second

// newStatus asks the running agent: exit 0 up, 1 not up, 3 no agent.
func newStatus() *cobra.Command {
	var f localFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use: "status", Short: "show how the running agent is",
		Long: `Show how the running agent is, asked over its socket: linkbeat.sock in /run/linkbeat, or in its state_dir.
Where that cannot be had, its page on http.listen is asked, and stderr says so: whoever takes a port first
can answer there. An answer of a user who is neither root, you nor the agent's is not believed.

Exit status: 0 the uplink is up, 1 it is not, 3 no agent answers, 64 wrong use.`,
		Example: `  linkbeat status
  linkbeat status --listen 127.0.0.1:8077
  linkbeat status --json | jq .uplink`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			where, err := f.where(cmd)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), statusWithin)
			defer cancel()
			s, err := where.Status(ctx)
			if err != nil {
				return exitError{exitNoAgent, err}
			}
			if err := showStatus(cmd, s, asJSON); err != nil {
				return err
			}
			if s.Uplink.State != "up" {
				return exitError{code: 1}
			}
			return nil
		},
	}
	f.addListen(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the status document")
	return cmd
}

func showStatus(cmd *cobra.Command, s statuspage.Status, asJSON bool) error {
	if !asJSON {
		return statuspage.Render(cmd.OutOrStdout(), s, time.Now())
	}
	return printable.Encode(cmd.OutOrStdout(), s, true)
}
