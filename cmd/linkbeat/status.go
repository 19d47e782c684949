package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/linkbeat/linkbeat/agent/statuspage"
	"github.com/linkbeat/linkbeat/config"
)

// newStatus asks the running agent: exit 0 up, 1 not up, 3 no agent.
func newStatus() *cobra.Command {
	var listen string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "status", Short: "show how the running agent is", Args: cobra.NoArgs,
		Long: `Show how the running agent is, asked from its page on http.listen.

Exit status: 0 the uplink is up, 1 it is not, 3 no agent answers.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			addr := listen
			if addr == "" {
				addr = listenOf(cmd)
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), 5*time.Second)
			defer cancel()
			s, err := statuspage.Fetch(ctx, addr)
			if err != nil {
				return exitError{exitNoAgent, fmt.Errorf("no agent on %s: %w; is it running (linkbeat run), and is http.listen right?", addr, err)}
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
	cmd.Flags().StringVar(&listen, "listen", "", "`host:port` of the agent's page (default: http.listen of the configuration)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the status document")
	return cmd
}

func showStatus(cmd *cobra.Command, s statuspage.Status, asJSON bool) error {
	if !asJSON {
		return statuspage.Render(cmd.OutOrStdout(), s, time.Now())
	}
	enc := json.NewEncoder(cmd.OutOrStdout())
	enc.SetIndent("", "  ")
	return enc.Encode(s)
}

// listenOf is http.listen of the document that run would take, or its default when there is none: status must work on a sick
// gateway, for a user who may not read the file.
func listenOf(cmd *cobra.Command) string {
	file, _ := cmd.Flags().GetString("config")
	booted, err := config.Boot(bootOptions(file))
	if err != nil {
		return config.Defaults().HTTP.Listen
	}
	return booted.Document.HTTP.Listen
}
