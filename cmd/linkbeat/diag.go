package main

import (
	"cmp"
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/linkbeat/linkbeat/agent"
	"github.com/linkbeat/linkbeat/agent/diag"
	"github.com/linkbeat/linkbeat/agent/ownfile"
	"github.com/linkbeat/linkbeat/agent/printable"
	"github.com/linkbeat/linkbeat/cmd/internal/cli"
	"github.com/linkbeat/linkbeat/config"
)

// diagFlags are what the command line says.
type diagFlags struct {
	server string
	bundle string
	asJSON bool
}

func newDiag() *cobra.Command {
	var f diagFlags
	cmd := &cobra.Command{
		Use: "diag", Short: "why am I offline? step by step, with what to do next",
		Long: `Ask the running agent how it is, look at its serial devices, and try each step of the uplink in its
order, with how long it takes: interface, route, DNS, TCP, proxy, TLS, CONNECT, SUBSCRIBE, a message that
the broker keeps, one as large as the largest frame, and each topic that the gateway publishes to, with a
message that must come back. It stops at the first step that fails, and says what to do next; of the topics
all are tried. Each server of the configuration is tried in turn.

It asks for what run asks for (keepalive, clean_session, a retained will) on dn/probe/0 and with a client id
of its own, "<id>-p" and four digits; the broker forgets both again, also where diag is interrupted. The agent
need not run, and is not disturbed when it does. What goes to the other topics is {"echo":"…"}, not retained.

--bundle packs the result with the agent's status, the configuration, what it has learnt and
its last log lines, for a person who can help. Passwords are not in it.

Exit status: 0 all is fine, 1 something failed (the agent says so, a serial device, or a step), 64 wrong use.`,
		Example: `  linkbeat diag
  linkbeat diag -c ./linkbeat.yaml --server mqtts://broker.example.net:8883
  linkbeat diag --bundle /tmp/gw-7.tar.gz`,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.server, "server", "", "`URL` of the one server of uplink.servers to try (default: all)")
	flags.BoolVar(&f.asJSON, "json", false, "print what was found as JSON")
	flags.StringVar(&f.bundle, "bundle", "", "write a tarball for a person who can help into `file`.tar.gz")
	cli.Values(cmd, "server", serversOf)
	return cmd
}

func (f *diagFlags) run(cmd *cobra.Command) error {
	o, err := diagOptions(cmd)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if o.Server = f.server; !f.asJSON {
		o.Watch = &diag.Printer{Out: cmd.OutOrStdout()}
	}
	where, _ := localFlags{}.where(cmd) // without flags nothing of it can be wrong use
	own := where
	own.Say = nil // of another agent there is nothing to tell here
	o.Agent = own.Status
	report, err := diag.Run(ctx, o)
	if errors.Is(err, diag.ErrNoServer) {
		return cli.Usagef("--server %s: %w, and their login is for them only", config.ServerURL(f.server), err)
	} else if err != nil {
		return err
	}
	if f.asJSON {
		err = printable.Encode(cmd.OutOrStdout(), report, true)
	}
	if f.bundle != "" {
		failed := writeBundle(ctx, f.bundle, diag.Bundle{Document: o.Document, Report: report, Environ: os.Environ(),
			Agent: where})
		if failed == nil {
			_ = printable.Fprintf(cmd.ErrOrStderr(), "%s holds the bundle; read it before you send it to others\n", f.bundle)
		}
		err = errors.Join(err, failed)
	}
	if err == nil && !report.Fine() {
		return exitError{code: 1}
	}
	return err
}

// writeBundle leaves no half of one behind, and replaces only what is ours: who asks for it may be root, and name a place where
// others put links.
func writeBundle(ctx context.Context, name string, b diag.Bundle) error {
	return ownfile.ReplacePath(name, func(f *os.File) error { return b.Write(ctx, f) })
}

// diagOptions are those of the document that run would take.
func diagOptions(cmd *cobra.Command) (diag.Options, error) {
	file, err := cmd.Flags().GetString("config")
	if err != nil {
		return diag.Options{}, err
	}
	booted, err := config.Boot(bootOptions(file))
	if err != nil {
		return diag.Options{}, err
	}
	id, err := booted.Document.ResolveID(config.Host{}, booted.Store)
	if err != nil && !errors.Is(err, config.ErrNotKept) {
		return diag.Options{}, err
	}
	return diag.Options{Document: booted.Document, ID: id, ConfigError: cmp.Or(booted.ConfigError, booted.Concerns()),
		Version: version, Built: programVersion().Built(), Topics: agent.TopicsOf(booted.Document, id),
		Ports: func() map[string]error { return agent.PortsOf(booted.Document) }}, nil
}
