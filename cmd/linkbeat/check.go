package main

import (
	"errors"
	"fmt"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/linkbeat/linkbeat/agent"
	"github.com/linkbeat/linkbeat/agent/diag"
	"github.com/linkbeat/linkbeat/agent/estimate"
	"github.com/linkbeat/linkbeat/agent/printable"
	"github.com/linkbeat/linkbeat/cmd/internal/cli"
	"github.com/linkbeat/linkbeat/config"
)

// mostFrame bounds --frame-bytes; no serial device takes a frame that long.
const mostFrame = 1 << 24

// checkFlags are what the command line says.
type checkFlags struct {
	verbose  bool
	online   bool
	estimate bool
	asJSON   bool
	assume   estimate.Assumptions
}

func newCheck() *cobra.Command {
	var f checkFlags
	cmd := &cobra.Command{
		Use: "check", Short: "check a configuration: every fault at once",
		Long: `Check a configuration strictly. Every fault is printed, with its path and line; warnings too.

--online goes on to the servers: it connects to each as diag does, and prints what is wrong
there, above all topics that an access list denies, which a broker does not report.

--estimate prints what a good configuration will cost: bytes a month on the wire, by cause, on a
good path (low), as expected, and at worst (high). The assumptions stand below the table.

Exit status: 0 good (with warnings or without), 1 faults, or with --online a server that fails or
denies, 64 wrong use.`,
		Example: `  linkbeat check -c ./linkbeat.yaml
  LINKBEAT_UPLINK_USERNAME=gw-7 linkbeat check -v -c ./linkbeat.yaml
  linkbeat check --online -c ./linkbeat.yaml
  linkbeat check --estimate --frames-per-day 86400 --frame-bytes 72`,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	flags := cmd.Flags()
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "print the whole document as it would run, secrets hidden")
	flags.BoolVar(&f.online, "online", false, "try each server too, with a message on each topic that must come back")
	flags.BoolVar(&f.estimate, "estimate", false, "print what it will cost, in bytes a month")
	flags.Float64Var(&f.assume.FramesPerDay, "frames-per-day", 1440, "estimate: `frames` of each serial device")
	flags.IntVar(&f.assume.FrameBytes, "frame-bytes", 60, "estimate: `bytes` of a frame")
	flags.DurationVar(&f.assume.Interval, "interval", 0, "estimate: the beat that will be learnt, as linkbeat probe found it")
	flags.BoolVar(&f.asJSON, "json", false, "print the estimate as JSON")
	cmd.MarkFlagsMutuallyExclusive("verbose", "estimate", "online")
	return cmd
}

func (f *checkFlags) run(cmd *cobra.Command) error {
	if f.asJSON && !f.estimate {
		return cli.Usagef("--json is for --estimate: add --estimate")
	}
	if f.assume.FramesPerDay <= 0 || f.assume.FrameBytes <= 0 || f.assume.FrameBytes > mostFrame || f.assume.Interval < 0 {
		return cli.Usagef("--frames-per-day, --frame-bytes and --interval must be above 0, and a frame has at most %d bytes",
			mostFrame)
	}
	file, err := cmd.Flags().GetString("config")
	if err != nil {
		return err
	}
	src, err := config.ReadFile(file)
	if err != nil {
		return fmt.Errorf("%w; name a file with -c, or make one: linkbeat template > linkbeat.yaml", err)
	}
	options := parseOptions()
	options.CheckFile, options.File = config.CheckReadable, file
	doc, warnings, err := config.Parse(src, options)
	for _, w := range warnings {
		_ = printable.Fprintf(cmd.ErrOrStderr(), "%s: warning: %s\n", file, w)
	}
	if err != nil {
		return fmt.Errorf("%s is not good:\n%w", file, err)
	}
	switch {
	case f.verbose:
		_, err = cmd.OutOrStdout().Write(doc.Effective())
		return err
	case f.estimate:
		return f.printEstimate(cmd, file, estimate.Of(doc, f.assume))
	}
	_ = printable.Fprintf(cmd.OutOrStdout(), "%s is good\n", file)
	if f.online {
		return checkOnline(cmd, doc)
	}
	return nil
}

func (f *checkFlags) printEstimate(cmd *cobra.Command, file string, e estimate.Estimate) error {
	if e.Over() {
		_ = printable.Fprintf(cmd.ErrOrStderr(), "%s: warning: uplink.budget.month: %.0f %% of it is to be expected; "+
			"at 100 %% only devices of priority: high, state and commands still flow\n", file, 100*e.Share(e.Total.Expected))
	}
	if f.asJSON {
		return printable.Encode(cmd.OutOrStdout(), e, true)
	}
	_ = printable.Fprintf(cmd.OutOrStdout(), "%s is good\n\n", file)
	return e.Render(cmd.OutOrStdout())
}

// checkOnline prints what is wrong with the servers of doc.
func checkOnline(cmd *cobra.Command, doc *config.Document) error {
	id, err := doc.ResolveID(config.Host{}, config.NewStore(doc.StateDir))
	if err != nil && !errors.Is(err, config.ErrNotKept) {
		return err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	report, err := diag.Run(ctx, diag.Options{Document: doc, ID: id, Version: version, Built: programVersion().Built(),
		Online: true, Topics: agent.TopicsOf(doc, id), Watch: &diag.Printer{Out: cmd.ErrOrStderr(), Faults: true}})
	if err != nil {
		return err
	}
	if !report.Fine() {
		return errors.New("a server does not serve this gateway; linkbeat diag shows every step")
	}
	_ = printable.Fprintf(cmd.OutOrStdout(), "%d servers serve %s\n", len(report.Servers), id)
	return nil
}

func newTemplate() *cobra.Command {
	return &cobra.Command{
		Use: "template", Short: "print a commented configuration with every default",
		Long: `Print a configuration with every key, its default and a comment. Only uplink.servers must be set; a key that
is left out has its default.

Exit status: 0 done, 64 wrong use.`,
		Example: "  linkbeat template > linkbeat.yaml",
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(config.Template())
			return err
		},
	}
}

// parseOptions is what a document may draw on.
func parseOptions() config.ParseOptions { return config.FromOS() }

func bootOptions(file string) config.BootOptions {
	return config.BootOptions{File: file, Parse: parseOptions()}
}
