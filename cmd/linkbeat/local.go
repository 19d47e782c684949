package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/linkbeat/linkbeat/agent/gate"
	"github.com/linkbeat/linkbeat/agent/printable"
	"github.com/linkbeat/linkbeat/agent/statuspage"
	"github.com/linkbeat/linkbeat/cmd/internal/cli"
	"github.com/linkbeat/linkbeat/config"
)

const (
	reconnectWithin = time.Minute     // the agent itself gives up after half of it
	reloadWithin    = 4 * time.Minute // more than the agent needs to stop all it runs
)

// localFlags say how the agent on this machine is found, where the configuration does not.
type localFlags struct{ listen, socket string }

func (f *localFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.socket, "socket", "", "`path` of the agent's socket (default: as the agent looks for a place)")
}

func (f *localFlags) addListen(cmd *cobra.Command) {
	f.add(cmd)
	cmd.Flags().StringVar(&f.listen, "listen", "",
		"`host:port` of the agent's page (default: its socket, else http.listen of the configuration)")
	cmd.MarkFlagsMutuallyExclusive("socket", "listen")
}

// where is the agent of the document that run would take. Without a document it is any, found by the defaults: status must work
// on a sick gateway, for a user who may not read the file.
func (f localFlags) where(cmd *cobra.Command) (gate.Where, error) {
	file, _ := cmd.Flags().GetString("config")
	booted, err := config.Boot(bootOptions(file))
	doc := booted.Document
	if err != nil {
		doc = config.Defaults()
	}
	w := gate.Where{Sockets: gate.Sockets(os.Getenv("RUNTIME_DIRECTORY"), doc.StateDir), Listen: doc.HTTP.Listen,
		StateDir: doc.StateDir,
		Sure:     err == nil && booted.Origin == config.FromFile,
		Say:      func(text string) { _ = printable.Fprintf(cmd.ErrOrStderr(), "linkbeat: %s\n", text) }}
	if f.socket != "" {
		w.Sockets, w.Listen, w.Sure = []string{f.socket}, "", false
	}
	if f.listen == "" {
		return w, nil
	}
	if _, _, err := net.SplitHostPort(f.listen); err != nil {
		return w, cli.Usagef("--listen %q is not host:port, such as 127.0.0.1:8077: %w", f.listen, err)
	}
	if f.listen != w.Listen { // another agent's
		w.Sockets, w.Listen = nil, f.listen
	}
	return w, nil
}

// interrupted ends with SIGINT or SIGTERM, or after the time; zero: never.
func interrupted(parent context.Context, most time.Duration) (context.Context, func()) {
	ctx, stop := signal.NotifyContext(parent, syscall.SIGINT, syscall.SIGTERM)
	if most == 0 {
		return ctx, stop
	}
	ctx, cancel := context.WithTimeout(ctx, most)
	return ctx, func() { cancel(); stop() }
}

// notAsked gives an error of an agent that was not asked, because there is none or it may not be, the exit status for that.
func notAsked(err error) error {
	if errors.Is(err, gate.ErrNoAgent) || errors.Is(err, gate.ErrMayNot) {
		return exitError{exitNoAgent, err}
	}
	return err
}

func newReconnect() *cobra.Command {
	var f localFlags
	cmd := &cobra.Command{
		Use: "reconnect", Short: "have the running agent connect to the server anew",
		Long: `Have the running agent connect anew, and wait until it has. While it has no connection it tries at once,
whatever is held against a server that failed. While it has one a second connection is opened first, and
replaces the first when nothing is on its way: nothing is lost.

The agent is asked over its socket: for root, its user and its group.

Exit status: 0 connected anew, 1 not, 3 no agent answers, or it may not be asked, 64 wrong use.`,
		Example: "  linkbeat reconnect",
		RunE: func(cmd *cobra.Command, _ []string) error {
			where, err := f.where(cmd)
			if err != nil {
				return err
			}
			ctx, stop := interrupted(cmd.Context(), reconnectWithin)
			defer stop()
			said, err := where.Reconnect(ctx)
			if err != nil {
				return notAsked(err)
			}
			_ = printable.Fprintf(cmd.OutOrStdout(), "%s\n", said)
			return nil
		},
	}
	f.add(cmd)
	return cmd
}

func newReload() *cobra.Command {
	var f localFlags
	cmd := &cobra.Command{
		Use: "reload", Short: "have the running agent read its configuration again",
		Long: `Have the running agent read its configuration again, as SIGHUP does, and wait for what comes of it: what
changed is printed, or which fault keeps the previous configuration in use.

The agent is asked over its socket: for root, its user and its group.

Exit status: 0 the configuration is in use, 1 it is not, or a serial device is out because of a fault, 3 no
agent answers, or it may not be asked, 64 wrong use.`,
		Example: "  linkbeat check -c linkbeat.yaml && linkbeat reload -c linkbeat.yaml",
		RunE: func(cmd *cobra.Command, _ []string) error {
			where, err := f.where(cmd)
			if err != nil {
				return err
			}
			ctx, stop := interrupted(cmd.Context(), reloadWithin)
			defer stop()
			r, err := where.Reload(ctx)
			if err != nil {
				return notAsked(err)
			}
			return showReload(cmd, r)
		},
	}
	f.add(cmd)
	return cmd
}

func showReload(cmd *cobra.Command, r statuspage.Reloaded) error {
	if r.Fault != "" {
		return fmt.Errorf("not reloaded, the previous configuration stays in use: %s; linkbeat check names every fault", r.Fault)
	}
	for _, w := range r.Warnings {
		_ = printable.Fprintf(cmd.ErrOrStderr(), "warning: %s\n", w)
	}
	out := cmd.OutOrStdout()
	_ = printable.Fprintf(out, "reloaded, %d changes\n", len(r.Changes)+r.More)
	for _, line := range r.Changes {
		_ = printable.Fprintf(out, "  %s\n", line)
	}
	if r.More > 0 {
		_ = printable.Fprintf(out, "  and %d more\n", r.More)
	}
	if r.Disabled != "" {
		return errors.New(r.Disabled)
	}
	return nil
}
