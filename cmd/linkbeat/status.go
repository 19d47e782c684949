package main

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/spf13/cobra"

	"github.com/linkbeat/linkbeat/agent/printable"
	"github.com/linkbeat/linkbeat/agent/statuspage"
	"github.com/linkbeat/linkbeat/cmd/internal/cli"
	"github.com/linkbeat/linkbeat/config"
)

// newStatus asks the running agent: exit 0 up, 1 not up, 3 no agent.
func newStatus() *cobra.Command {
	var listen string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "status", Short: "show how the running agent is",
		Long: `Show how the running agent is, asked from its page on http.listen.

Exit status: 0 the uplink is up, 1 it is not, 3 no agent answers, 64 wrong use.`,
		Example: `  linkbeat status
  linkbeat status --listen 127.0.0.1:8077
  linkbeat status --json | jq .uplink`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			addr, err := pageAddr(cmd, listen)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), 5*time.Second)
			defer cancel()
			s, err := statuspage.Fetch(ctx, addr)
			if err != nil {
				return exitError{exitNoAgent,
					fmt.Errorf("no agent on %s: %w; is it running (linkbeat run), and is http.listen right?", addr, err)}
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
	return printable.Encode(cmd.OutOrStdout(), s, true)
}

// pageAddr is where the agent's page is: as the flag --listen says, else as the configuration does.
func pageAddr(cmd *cobra.Command, listen string) (string, error) {
	if listen == "" {
		return listenOf(cmd), nil
	}
	if _, _, err := net.SplitHostPort(listen); err != nil {
		return "", cli.Usagef("--listen %q is not host:port, such as 127.0.0.1:8077: %w", listen, err)
	}
	return listen, nil
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
