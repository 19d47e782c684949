package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/linkbeat/linkbeat/agent/operator"
	"github.com/linkbeat/linkbeat/cmd/internal/cli"
)

// maxPayload bounds what is read from stdin, in bytes; no serial device takes a frame that long.
const maxPayload = 1 << 20

// encodings are the flags that say what a payload is.
type encodings struct{ text, hex, base64 bool }

func (e *encodings) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&e.text, "text", false, "the payload is text (the default)")
	cmd.Flags().BoolVar(&e.hex, "hex", false, "the payload is hex digits, with white space where it helps")
	cmd.Flags().BoolVar(&e.base64, "base64", false, "the payload is base64")
	cmd.MarkFlagsMutuallyExclusive("text", "hex", "base64")
}

func (e *encodings) chosen() string {
	switch {
	case e.hex:
		return "hex"
	case e.base64:
		return "base64"
	}
	return "text"
}

// command is what the arguments <device> <name> [payload] say; the payload is on stdin if it is not there.
func (e *encodings) command(in io.Reader, given []string) (operator.Command, error) {
	p, err := payload(in, given[2:])
	if err != nil {
		return operator.Command{}, err
	}
	c, err := operator.NewCommand(given[0], given[1], e.chosen(), p)
	if err != nil {
		return c, cli.Usage(err)
	}
	return c, nil
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
		return "", cli.Usagef("payload is empty: give it as the third argument or on stdin")
	}
	if len(p) > maxPayload {
		return "", cli.Usagef("payload from stdin exceeds %d bytes", maxPayload)
	}
	return string(p), nil
}
