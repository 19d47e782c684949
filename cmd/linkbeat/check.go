package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/linkbeat/linkbeat/agent/diag"
	"github.com/linkbeat/linkbeat/config"
)

func newCheck() *cobra.Command {
	var verbose, online bool
	cmd := &cobra.Command{
		Use: "check", Short: "check a configuration: every fault at once", Args: cobra.NoArgs,
		Long: `Check a configuration strictly. Every fault is printed, with its path and line; warnings too.

--online goes on to the servers: it connects to each as diag does, and prints what is wrong
there, above all topics that an access list denies, which no broker says by itself.

Exit status: 0 good (warnings or not), 1 faults, or with --online a server that fails or denies.`,
		Example: "  linkbeat check -c ./linkbeat.yaml\n  LINKBEAT_UPLINK_USERNAME=gw-7 linkbeat check -v -c ./linkbeat.yaml\n  linkbeat check --online -c ./linkbeat.yaml",
		RunE: func(cmd *cobra.Command, _ []string) error {
			file, err := cmd.Flags().GetString("config")
			if err != nil {
				return err
			}
			src, err := os.ReadFile(file)
			if err != nil {
				return fmt.Errorf("%w; name a file with -c, or make one: linkbeat template > linkbeat.yaml", err)
			}
			options := parseOptions()
			options.CheckFile = config.CheckReadable
			doc, warnings, err := config.Parse(src, options)
			for _, w := range warnings {
				fmt.Fprintf(cmd.ErrOrStderr(), "%s: warning: %s\n", file, w)
			}
			if err != nil {
				return fmt.Errorf("%s is not good:\n%w", file, err)
			}
			if verbose {
				_, err = cmd.OutOrStdout().Write(doc.Effective())
			} else {
				fmt.Fprintf(cmd.OutOrStdout(), "%s is good\n", file)
			}
			if err == nil && online {
				err = checkOnline(cmd, doc)
			}
			return err
		},
	}
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "print the whole document as it would run, secrets hidden")
	cmd.Flags().BoolVar(&online, "online", false, "try every server too, up to a message of each class of topic that comes back")
	return cmd
}

// checkOnline prints what is wrong with the servers of doc.
func checkOnline(cmd *cobra.Command, doc *config.Document) error {
	id, err := doc.ResolveID(config.Host{}, config.NewStore(doc.StateDir))
	if err != nil && !errors.Is(err, config.ErrNotKept) {
		return err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	report, err := diag.Run(ctx, diag.Options{Document: doc, ID: id, Version: version, Built: built(), Online: true,
		Watch: &diag.Printer{Out: cmd.ErrOrStderr(), Faults: true}})
	if err != nil {
		return err
	}
	if !report.Fine() {
		return errors.New("not all servers serve this gateway; linkbeat diag shows every step")
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%d servers serve %s\n", len(report.Servers), id)
	return nil
}

func newTemplate() *cobra.Command {
	return &cobra.Command{
		Use: "template", Short: "print a commented configuration with every default", Args: cobra.NoArgs,
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
