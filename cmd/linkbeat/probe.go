package main

import (
	"errors"
	"fmt"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/linkbeat/linkbeat/agent/printable"
	"github.com/linkbeat/linkbeat/agent/probe"
	"github.com/linkbeat/linkbeat/cmd/internal/cli"
	"github.com/linkbeat/linkbeat/config"
)

// probeFlags are what the command line says.
type probeFlags struct {
	o            probe.Options
	passwordFile string
	asJSON       bool
	thrifty      bool
	min, max     time.Duration
}

func newProbe() *cobra.Command {
	var f probeFlags
	cmd := &cobra.Command{
		Use: "probe [url]", Short: "measure how long the path to a server may stay silent",
		Long: `Measure how long a connection to a server may stay silent before something on the way (a
carrier's NAT, a firewall, a load balancer) forgets it. The agent need not run, and is not
disturbed when it does. Progress goes to standard error, the result to standard output.

Without a URL the configuration says which server, with which login and topics. The broker
must let us publish and subscribe to the topics of the probes.

Many connections are tested side by side, which costs some 100 KiB over TLS; --thrifty tests
one at a time, for less and for longer.

Exit status: 0 the limit is known, 1 it is not, 64 wrong use.`,
		Example: `  linkbeat probe mqtts://broker.example.net:8883 --user gw-7 --password-file ./password
  linkbeat probe -c ./linkbeat.yaml --max 30m`,
		ValidArgsFunction: cli.Nth(serversOf),
		RunE:              func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.o.Username, "user", "u", "", "user `name`")
	flags.StringVar(&f.passwordFile, "password-file", "", "`file` that holds the password")
	flags.StringVar((*string)(&f.o.TLS.CAFile), "ca", "", "PEM `file` of the authority to trust instead of the system's")
	flags.StringVar((*string)(&f.o.TLS.CertFile), "cert", "", "PEM `file` of our certificate")
	flags.StringVar((*string)(&f.o.TLS.KeyFile), "key", "", "PEM `file` of its key")
	flags.StringVar(&f.o.Topic, "topic", "", "`template` of the probes' topics, with {n} (default linkbeat/probe/{id}/{n})")
	flags.DurationVar(&f.min, "min", 0, "shortest silence of interest (default 20s, or heartbeat.min)")
	flags.DurationVar(&f.max, "max", 0, "longest beat of interest (default 10m, or heartbeat.max)")
	flags.BoolVar(&f.o.Insecure, "insecure", false, "send the login without TLS, readable on the way")
	flags.BoolVar(&f.thrifty, "thrifty", false, "one connection at a time")
	flags.BoolVar(&f.asJSON, "json", false, "print what was found as JSON")
	cli.Files(cmd, []string{"pem", "crt", "key"}, "ca", "cert", "key")
	return cmd
}

func (f *probeFlags) run(cmd *cobra.Command, args []string) error {
	o, err := f.options(cmd, args)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	result, err := probe.Measure(ctx, o, cmd.ErrOrStderr())
	if errors.Is(err, probe.ErrOptions) {
		return cli.Usage(err)
	}
	if err != nil {
		return err
	}
	if f.asJSON {
		err = printable.Encode(cmd.OutOrStdout(), result, false)
	} else {
		err = result.Render(cmd.OutOrStdout())
	}
	return errors.Join(err, result.Err())
}

// options joins what the configuration says, where it is asked, with the command line, which counts more.
func (f *probeFlags) options(cmd *cobra.Command, args []string) (probe.Options, error) {
	if (f.o.TLS.CertFile == "") != (f.o.TLS.KeyFile == "") {
		return f.o, cli.Usagef("--cert and --key go together: name both")
	}
	if f.min < 0 || f.max < 0 {
		return f.o, cli.Usagef("--min and --max must not be negative")
	}
	o := f.o
	o.Password = probe.PasswordFrom(f.passwordFile)
	if len(args) > 0 {
		o.Server = config.ServerURL(args[0])
	}
	if len(args) == 0 || cmd.Flags().Changed("config") {
		var err error
		if o, err = f.fromConfig(cmd, o); err != nil {
			return o, err
		}
	}
	if f.min > 0 {
		o.Min = f.min
	}
	if f.max > 0 {
		o.Max = f.max
	}
	o.Thrifty = f.thrifty
	return o, nil
}

func (f *probeFlags) fromConfig(cmd *cobra.Command, o probe.Options) (probe.Options, error) {
	file, err := cmd.Flags().GetString("config")
	if err != nil {
		return o, err
	}
	booted, err := config.Boot(bootOptions(file))
	if err != nil {
		return o, fmt.Errorf("%w\nor give the URL of a server", err)
	}
	if booted.ConfigError != "" {
		_ = printable.Fprintf(cmd.ErrOrStderr(), "%s\n", booted.ConfigError)
	}
	id, err := booted.Document.ResolveID(config.Host{}, booted.Store)
	if err != nil && !errors.Is(err, config.ErrNotKept) {
		return o, err
	}
	o, err = o.With(booted.Document, id)
	return o, cli.Usage(err)
}
