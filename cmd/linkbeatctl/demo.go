package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/linkbeat/linkbeat/agent/demo"
)

func newDemo() *cobra.Command {
	var seconds int
	o := demo.Options{}
	cmd := &cobra.Command{
		Use: "demo", Short: "the whole road on this machine, no set-up", Args: cobra.NoArgs,
		Long: `Run the main job in front of your eyes, with nothing but this program and linkbeat: a broker on loopback, a
pseudo-terminal that plays the recording of a GPS receiver, the real agent, and a carrier NAT in user space between
the agent and the broker, which forgets silent connections and is cut for a while. It needs no rights, writes only
into a temporary folder, and ends with ctrl-C or after --seconds.

Exit status: 0 nothing lost, 1 a frame lost, or something did not start.`,
		Example: `  linkbeatctl demo
  linkbeatctl demo --agent dist/linkbeat --seconds 20`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Out, o.For = cmd.OutOrStdout(), time.Duration(seconds)*time.Second
			return demo.Run(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.Agent, "agent", "", "the linkbeat `program` (default: beside this one, else in $PATH)")
	cmd.Flags().IntVar(&seconds, "seconds", 0, "end after so many seconds; 0: with ctrl-C")
	cmd.Flags().BoolVar(&o.Keep, "keep", false, "keep the temporary folder with configuration, spool and log of the agent")
	return cmd
}
