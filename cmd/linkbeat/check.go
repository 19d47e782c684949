package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/linkbeat/linkbeat/config"
)

func newCheck() *cobra.Command {
	var verbose bool
	cmd := &cobra.Command{
		Use: "check", Short: "check a configuration: every fault at once", Args: cobra.NoArgs,
		Long: `Check a configuration strictly. Every fault is printed, with its path and line; warnings too.

Exit status: 0 good (warnings or not), 1 faults.`,
		Example: "  linkbeat check -c ./linkbeat.yaml\n  LINKBEAT_UPLINK_USERNAME=gw-7 linkbeat check -v -c ./linkbeat.yaml",
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
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is good\n", file)
			return nil
		},
	}
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "print the whole document as it would run, secrets hidden")
	return cmd
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
