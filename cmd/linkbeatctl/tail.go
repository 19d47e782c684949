package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/linkbeat/linkbeat/agent/operator"
	"github.com/linkbeat/linkbeat/agent/printable"
	"github.com/linkbeat/linkbeat/cmd/internal/cli"
)

func newTail(b *broker) *cobra.Command {
	var asJSON, raw bool
	var count int64
	cmd := &cobra.Command{
		Use: "tail [device] [name]", Short: "follow live data of devices",
		Long: `Follow live data: of every gateway, of one, or of one serial device of it. Duplicates, which an uplink that
loses nothing cannot avoid, are dropped; gaps are reported: numbers that the gateway gave up, and why, and
numbers that did not arrive within ten minutes of a later one. After an outage numbers come out of order: what is
read now does not wait for the backlog, which is marked late. Ends with ctrl-C; the sums go to stderr.

With --json each line is the record as the gateway sent it, with "device" and "name" before it; a hole is
{"device","name","hole":{"epoch","from","to"}}; a payload of a device with format: raw stands as base64, and
one with format: senml as the record that it was made of.

Exit status: 0 ended by ctrl-C or --count, 3 no session with the broker, 64 wrong use.`,
		Example: `  linkbeatctl tail
  linkbeatctl tail gw-17 meter
  linkbeatctl tail gw-17 gps --raw > today.nmea
  linkbeatctl tail --json | jq -r 'select(.gap or .hole)'`,
		ValidArgsFunction: cli.Nth(b.deviceIDs, b.serialNames),
		RunE: func(cmd *cobra.Command, given []string) error {
			if count < 0 {
				return cli.Usagef("--count %d: must not be negative", count)
			}
			given = append(given, "", "")
			out := cmd.OutOrStdout()
			if raw {
				out = cli.RawOut(cmd)
			}
			p := &operator.Printer{Out: flushed{bufio.NewWriter(out)}, Notes: cmd.ErrOrStderr(), Count: count}
			if asJSON {
				p.Format = operator.JSON
			}
			if raw {
				p.Format = operator.Raw
			}
			b.o.Notice = cli.Notice(cmd)
			c, err := operator.Tail(cmd.Context(), b.o, operator.TailOptions{Device: given[0], Name: given[1]}, p.Print)
			if errors.Is(err, operator.ErrEnough) {
				err = nil
			}
			if err == nil {
				err = printable.Fprintf(cmd.ErrOrStderr(),
					"%d frames, %d duplicates dropped, %d lost on the gateway in %d gaps, %d missing%s\n",
					c.Frames, c.Duplicates, c.Lost, c.Gaps, c.Holes-c.Open, mayCome(c.Open))
			}
			return err
		},
	}
	b.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	cmd.Flags().BoolVar(&raw, "raw", false, "the bytes of the frames alone, a newline after each; the rest goes to stderr")
	cmd.Flags().Int64VarP(&count, "count", "n", 0, "end after this `number` of frames")
	cmd.MarkFlagsMutuallyExclusive("json", "raw")
	return cmd
}

// mayCome says how many numbers may still come.
func mayCome(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", %d not come yet: what waited through an outage comes out of order", n)
}

// flushed writes each item as a whole: one system call, and the reader of a pipe has it at once.
type flushed struct{ *bufio.Writer }

var _ io.Writer = flushed{}

// Write implements io.Writer.
func (f flushed) Write(p []byte) (int, error) {
	n, err := f.Writer.Write(p)
	if err != nil {
		return n, err
	}
	return n, f.Flush()
}
