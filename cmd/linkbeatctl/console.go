package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"regexp"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/linkbeat/linkbeat/agent/operator"
	"github.com/linkbeat/linkbeat/agent/operator/tty"
	"github.com/linkbeat/linkbeat/agent/printable"
	"github.com/linkbeat/linkbeat/agent/wire"
	"github.com/linkbeat/linkbeat/cmd/internal/cli"
)

func newConsole(b *broker) *cobra.Command {
	var usePty, sendBreak bool
	var line wire.ConsoleLine
	var dtr, rts string
	cmd := &cobra.Command{
		Use: "console <device> <name>", Short: "use a remote serial port, as a terminal or as a port of this machine",
		Long: `Use the port of serial device <name> of gateway <device> alone, over the gateway's uplink. On a terminal
each key goes to the device; ~. at the beginning of a line leaves, ~~ sends one ~. From a pipe, all input is
sent, and the console ends when the device has been silent for a second after that.

With --pty a pseudo-terminal is made, and its path printed, for any program: minicom, a vendor's tool,
sz and rz. The remote port follows the baud rate and the stop bits that the program sets, before the bytes
that it writes next; before a change it should wait for an answer, or 0.1 s. A pseudo-terminal has no parity,
data bits, DTR and RTS: set those with flags. What no program reads is dropped. Ends with ctrl-C.

During the session the gateway refuses commands to the device and does not poll a Modbus bus; frames go on.
At its end the port has the configured baud rate and mode again. The gateway ends a session that it has not
heard of for 30 s. The gateway must allow it: console: true in its configuration.

Exit status: 0 done, 1 the gateway refused or ended it, 2 no reply, 3 no session with the broker, 64 wrong use.`,
		Example: `  linkbeatctl console gw-17 plc
  linkbeatctl console gw-17 meter --baud 300 --mode 7E1
  linkbeatctl console gw-17 meter --pty`,
		ValidArgsFunction: cli.Nth(b.deviceIDs, b.serialNames),
		RunE: func(cmd *cobra.Command, given []string) (err error) {
			if line.Mode != "" && !regexp.MustCompile(`^[5-8][NEOMSneoms](1|1\.5|2)$`).MatchString(line.Mode) {
				return cli.Usagef("--mode %q: data bits 5 to 8, parity N, E, O, M or S, stop bits 1, 1.5 or 2, such as 7E1",
					line.Mode)
			}
			if line.Baud < 0 {
				return cli.Usagef("--baud %d: must be above 0", line.Baud)
			}
			line.Break = sendBreak
			if line.DTR, err = level("dtr", dtr); err != nil {
				return err
			}
			if line.RTS, err = level("rts", rts); err != nil {
				return err
			}
			b.o.Notice = func(s string) { say(cmd, "%s", s) }
			c := operator.ConsoleOptions{Device: given[0], Name: given[1], Who: who(), Line: line}
			if usePty {
				return consolePty(cmd, b, c)
			}
			return consoleTerminal(cmd, b, c)
		},
	}
	b.flags(cmd)
	f := cmd.Flags()
	f.BoolVar(&usePty, "pty", false, "make a pseudo-terminal on this machine, and print its path")
	f.IntVar(&line.Baud, "baud", 0, "baud rate during the session (default: as configured)")
	f.StringVar(&line.Mode, "mode", "",
		"data bits, parity and stop bits during the session, such as 7E1 (default: as configured)")
	f.StringVar(&dtr, "dtr", "", "set DTR: `on or off`")
	f.StringVar(&rts, "rts", "", "set RTS: `on or off`")
	f.BoolVar(&sendBreak, "break", false, "send a break first")
	cli.Fixed(cmd, "dtr", "on", "off")
	cli.Fixed(cmd, "rts", "on", "off")
	cli.Fixed(cmd, "mode", "8N1", "8E1", "8O1", "8N2", "7E1", "7O1")
	return cmd
}

// say writes a line while the terminal is raw: nothing makes a carriage return of its end there, and no edge would let one pass.
func say(cmd *cobra.Command, format string, args ...any) {
	_, _ = io.WriteString(cli.RawErr(cmd), "! "+printable.Sprintf(format, args...)+"\r\n")
}

func level(flag, text string) (*bool, error) {
	on := text == "on"
	switch text {
	case "":
		return nil, nil
	case "on", "off":
		return &on, nil
	}
	return nil, cli.Usagef("--%s %q: use on or off", flag, text)
}

// who we are, for the gateway's log.
func who() string {
	host, _ := os.Hostname()
	if u, err := user.Current(); err == nil {
		return u.Username + "@" + host
	}
	return host
}

// consoleTerminal connects the port to our own terminal, or to pipes.
func consoleTerminal(cmd *cobra.Command, b *broker, c operator.ConsoleOptions) error {
	c.In, c.Out = cmd.InOrStdin(), cli.RawOut(cmd) // a terminal for the device: raw by design
	ctx, stop := context.WithCancel(cmd.Context())
	defer stop()
	file, isFile := c.In.(*os.File)
	back := func() {}
	defer func() { back() }()
	c.Opened = func(l wire.ConsoleLine) {
		if !isFile {
			return
		}
		if restore, ok := tty.Raw(file); ok {
			back = sync.OnceFunc(restore)
			context.AfterFunc(ctx, back) // at once: a second signal kills us
			say(cmd, "console of %s/%s, %d %s; leave with ~. at the beginning of a line",
				c.Device, c.Name, l.Baud, l.Mode)
		}
	}
	if isFile {
		if st, err := file.Stat(); err == nil {
			c.Escape = st.Mode()&os.ModeCharDevice != 0
		}
	}
	return operator.Console(ctx, b.o, c)
}

// consolePty connects the port to a pseudo-terminal.
func consolePty(cmd *cobra.Command, b *broker, c operator.ConsoleOptions) error {
	ctx, stop := context.WithCancel(cmd.Context())
	defer stop()
	p, err := tty.OpenPty()
	if err != nil {
		return err
	}
	defer p.Close()
	defer context.AfterFunc(ctx, func() { _ = p.Close() })() // a program that takes nothing must not hold us
	configured := wire.ConsoleLine{Mode: "8N1"}
	c.In, c.Out = p, unread{p, b.o.Notice}
	c.Changed = func() (wire.ConsoleLine, bool) {
		l, ok := p.Changed()
		return remote(l, cmp.Or(c.Line.Mode, configured.Mode)), ok
	}
	c.Opened = func(l wire.ConsoleLine) {
		configured = l
		stop := 1
		if strings.HasSuffix(cmp.Or(c.Line.Mode, l.Mode), "2") {
			stop = 2
		}
		_ = p.SetLine(tty.Line{Baud: cmp.Or(c.Line.Baud, l.Baud), Stop: stop}) // what a program finds is what there is
		_ = printable.Fprintf(cmd.OutOrStdout(), "%s\n", p.Path)
		_ = printable.Fprintf(cmd.ErrOrStderr(), "! %s/%s is %s here, %d %s; ctrl-C ends\n", c.Device, c.Name, p.Path, l.Baud,
			l.Mode)
	}
	return operator.Console(ctx, b.o, c)
}

// remote is what a program has set of a pseudo-terminal, for a port of that mode.
func remote(l tty.Line, mode string) wire.ConsoleLine {
	out := wire.ConsoleLine{Baud: l.Baud}
	if l.Stop > 0 && len(mode) >= 2 {
		out.Mode = fmt.Sprint(mode[:2], l.Stop)
	}
	return out
}

// unread reports that no program reads a pseudo-terminal, and goes on.
type unread struct {
	*tty.Pty
	notice func(string)
}

// Write implements io.Writer.
func (u unread) Write(p []byte) (int, error) {
	n, err := u.Pty.Write(p)
	if errors.Is(err, tty.ErrUnread) {
		u.notice(err.Error())
		err = nil
	}
	return n, err
}
