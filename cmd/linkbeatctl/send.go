package main

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/linkbeat/linkbeat/agent/operator"
	"github.com/linkbeat/linkbeat/agent/printable"
	"github.com/linkbeat/linkbeat/cmd/internal/cli"
)

func newSend(b *broker) *cobra.Command {
	var e encodings
	var quiet bool
	var set []string
	var timeout time.Duration
	cmd := &cobra.Command{
		Use: "send <device> <name> [payload]", Short: "write to a serial device or a Modbus unit, and wait for the reply",
		Long: `Write a payload to serial device <name> of gateway <device>, and wait until the gateway says that it is
written and drained. Without a payload it is read from stdin. The gateway frames it: a line gets its newline.

With --set, write registers of Modbus unit <name>, by their names in the gateway's configuration; they are
written once, in the order of the configuration, and read back, and what they read is printed.

The command expires with --timeout, so that it is never carried out later, and is carried out at most once.
The gateway must allow it: commands: true in its configuration, and writable: true at a register.

Exit status: 0 done, 1 refused or failed, 2 no reply in time, 3 no session with the broker, 64 wrong use.`,
		Example: `  linkbeatctl send gw-17 meter 'READ?'
  linkbeatctl send gw-17 plc --hex '01 03 00 00 00 02 c4 0b'
  linkbeatctl send gw-17 gps --base64 < config.ubx.b64
  linkbeatctl send gw-17 boiler --set setpoint=21.5 --set enabled=true`,
		ValidArgsFunction: cli.Nth(b.deviceIDs, b.serialNames),
		RunE: func(cmd *cobra.Command, given []string) error {
			if timeout <= 0 {
				return cli.Usagef("--timeout %v: must be above 0", timeout)
			}
			c, err := sendCommand(cmd, &e, given, set)
			if err != nil {
				return err
			}
			c.Patience = timeout
			begin := time.Now()
			b.o.Notice = cli.Notice(cmd)
			r, err := operator.Send(cmd.Context(), b.o, c)
			if err == nil && quiet || err != nil && !errors.As(err, new(operator.DeviceError)) {
				return err
			}
			if c.Values != nil { // what they read is printed when the device said no, too
				_, _ = cmd.OutOrStdout().Write(operator.AppendAnswer(nil, r))
				return err
			}
			if err == nil {
				err = printable.Fprintf(cmd.OutOrStdout(), "done: %d bytes written to %s/%s and drained, %v, id %s\n",
					len(c.Data), c.Device, c.Name, time.Since(begin).Round(time.Millisecond), r.ID)
			}
			return err
		},
	}
	b.flags(cmd)
	e.flags(cmd)
	cmd.Flags().StringArrayVar(&set, "set", nil, "write a value to the register of this name: `name=value`; may be repeated")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "say nothing when it is done")
	cmd.Flags().DurationVar(&timeout, "timeout", 30*time.Second,
		"how long the command may wait for its turn; after that it expires")
	for _, name := range []string{"text", "hex", "base64"} {
		cmd.MarkFlagsMutuallyExclusive("set", name)
	}
	return cmd
}

// sendCommand is what the arguments and --set say.
func sendCommand(cmd *cobra.Command, e *encodings, given, set []string) (operator.Command, error) {
	if len(set) == 0 {
		return e.command(cmd.InOrStdin(), given)
	}
	if len(given) > 2 {
		return operator.Command{}, cli.Usagef("give either a payload or --set, not both")
	}
	c, err := operator.NewValues(given[0], given[1], set)
	if err != nil {
		return c, cli.Usagef("--set: %w", err)
	}
	return c, nil
}
