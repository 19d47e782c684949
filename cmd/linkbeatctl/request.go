package main

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/linkbeat/linkbeat/agent/operator"
	"github.com/linkbeat/linkbeat/agent/printable"
	"github.com/linkbeat/linkbeat/agent/wire"
	"github.com/linkbeat/linkbeat/cmd/internal/cli"
)

func newRequest(b *broker) *cobra.Command {
	var e encodings
	var asJSON, raw bool
	var timeout, within, silence time.Duration
	cmd := &cobra.Command{
		Use: "request <device> <name> [payload]", Short: "ask a serial device, and print its answer",
		Long: `Write a payload to serial device <name> of gateway <device>, and print what it answers: its next frame, or with
--silence all frames until it is silent for that long. No other command is written to the device in between.
Without a payload it is read from stdin. The answer is shown in the device's encoding, text or hex digits.

To a Modbus unit the payload is a PDU without address and checksum; to its bus it is address and PDU. Between
polls the bus is free for it.

The command expires with --timeout, so that it is never carried out later, and is carried out at most once.
The gateway must allow it: commands: true in its configuration, and requests.allow where that is set.

Exit status: 0 answered, 1 refused, or no answer of the device, 2 no reply in time, 3 no session with the broker,
64 wrong use.`,
		Example: `  linkbeatctl request gw-17 meter 'READ?'
  linkbeatctl request gw-17 meter '/?!' --within 2s --silence 300ms
  linkbeatctl request gw-17 boiler --hex '03 0000 0002'
  linkbeatctl request gw-17 plc --hex '01 03 0000 0002' --raw | xxd`,
		ValidArgsFunction: cli.Nth(b.deviceIDs, b.serialNames),
		RunE: func(cmd *cobra.Command, given []string) error {
			if timeout <= 0 || within < 0 || silence < 0 {
				return cli.Usagef("--timeout must be above 0, --within and --silence must not be negative")
			}
			c, err := e.command(cmd.InOrStdin(), given)
			if err != nil {
				return err
			}
			c.Request, c.Patience, c.Within, c.Silence = true, timeout, within, silence
			b.o.Notice = cli.Notice(cmd)
			r, err := operator.Send(cmd.Context(), b.o, c)
			if err != nil && !(asJSON && errors.As(err, new(operator.DeviceError))) {
				return err
			}
			return errors.Join(err, printAnswer(cmd, r, asJSON, raw))
		},
	}
	b.flags(cmd)
	e.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the reply as the gateway sent it, a refusal too")
	cmd.Flags().BoolVar(&raw, "raw", false, "print the bytes of the answer and nothing else")
	cmd.Flags().DurationVar(&timeout, "timeout", 30*time.Second,
		"how long the command may wait for its turn; after that it expires")
	cmd.Flags().DurationVar(&within, "within", 0,
		"how long to wait for the beginning of the answer (default: the gateway's requests.timeout)")
	cmd.Flags().DurationVar(&silence, "silence", 0,
		"the answer ends with this much silence (default: the gateway's requests.silence, or one frame)")
	cmd.MarkFlagsMutuallyExclusive("json", "raw")
	return cmd
}

func printAnswer(cmd *cobra.Command, r wire.Reply, asJSON, raw bool) error {
	switch {
	case asJSON:
		return printable.Encode(cmd.OutOrStdout(), r, false)
	case raw:
		frames, err := operator.AnswerBytes(r)
		for _, f := range frames {
			if err == nil {
				_, err = cli.RawOut(cmd).Write(f)
			}
		}
		return err
	}
	_, err := cmd.OutOrStdout().Write(operator.AppendAnswer(nil, r))
	return err
}
