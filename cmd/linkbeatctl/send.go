package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/linkbeat/linkbeat/agent/operator"
)

// maxPayload bounds what is read from stdin, in bytes; no serial device takes a frame that long.
const maxPayload = 1 << 20

func newSend(b *broker) *cobra.Command {
	var text, hex, base64, quiet bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use: "send <device> <name> [payload]", Short: "write to a serial device, and wait for the reply", Args: cobra.RangeArgs(2, 3),
		Long: `Write a payload to serial device <name> of gateway <device>, and wait until the gateway says that it is
written and drained. Without a payload it is read from stdin. The gateway frames it: a line gets its newline.

The command expires with --timeout, so that it is never carried out later, and is carried out at most once.
The gateway must allow it: commands: true in its configuration.

Exit status: 0 done, 1 the device said no, 2 no reply in time, 3 no session with the broker, 64 wrong use.`,
		Example: `  linkbeatctl send gw-17 meter 'READ?'
  linkbeatctl send gw-17 plc --hex '01 03 00 00 00 02 c4 0b'
  linkbeatctl send gw-17 gps --base64 < config.ubx.b64`,
		RunE: func(cmd *cobra.Command, given []string) error {
			payload, err := payload(cmd.InOrStdin(), given[2:])
			if err != nil {
				return err
			}
			w, err := operator.NewWrite(given[0], given[1], encoding(hex, base64), payload)
			if err != nil {
				return usageError{err}
			}
			w.Patience = timeout
			begin := time.Now()
			b.o.Notice = func(s string) { fmt.Fprintln(cmd.ErrOrStderr(), "!", s) }
			r, err := operator.Send(cmd.Context(), b.o, w)
			if err != nil || quiet {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "done: %d bytes written to %s/%s and drained, %v, id %s\n",
				len(w.Data), w.Device, w.Name, time.Since(begin).Round(time.Millisecond), r.ID)
			return err
		},
	}
	b.flags(cmd)
	cmd.Flags().BoolVar(&text, "text", false, "the payload is text (the default)")
	cmd.Flags().BoolVar(&hex, "hex", false, "the payload is hex digits, with white space where it helps")
	cmd.Flags().BoolVar(&base64, "base64", false, "the payload is base64")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "say nothing when it is done")
	cmd.Flags().DurationVar(&timeout, "timeout", 30*time.Second, "until the command expires, and we stop waiting")
	cmd.MarkFlagsMutuallyExclusive("text", "hex", "base64")
	return cmd
}

func encoding(hex, base64 bool) string {
	switch {
	case hex:
		return "hex"
	case base64:
		return "base64"
	}
	return "text"
}

// payload is the argument, or else stdin.
func payload(in io.Reader, given []string) (string, error) {
	if len(given) > 0 {
		return given[0], nil
	}
	p, err := io.ReadAll(io.LimitReader(in, maxPayload+1))
	if err != nil {
		return "", fmt.Errorf("payload from stdin: %w", err)
	}
	if len(p) == 0 {
		return "", usageError{fmt.Errorf("payload is empty: give it as the third argument or on stdin")}
	}
	if len(p) > maxPayload {
		return "", usageError{fmt.Errorf("payload from stdin exceeds %d bytes", maxPayload)}
	}
	return string(p), nil
}
