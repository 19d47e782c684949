// Package exec runs the programs that this machine's own configuration names: facts, which are asked for what they print,
// and hooks, which run when the link came up or was lost. Nothing that the fleet sends is ever run.
package exec

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/linkbeat/linkbeat/agent/printable"
	"github.com/linkbeat/linkbeat/config"
)

// This is the one place that runs programs. Which ones comes from this machine's own configuration file, never from the fleet.

const (
	programTimeout = 10 * time.Second
	programDrain   = time.Second // how long what it left behind may hold its output open
	complaintMax   = 256         // bytes of standard error that stand beside a failure
)

// errTooSlow is of a command that was ended because its time was over.
var errTooSlow = errors.New("took too long and was killed")

// Program is a command: a program and its arguments as the configuration names them. No shell sees it, and of our environment it
// gets nothing.
type Program struct {
	Argv    config.Command
	env     []string      // beside PATH and LC_ALL
	Most    int           // bytes of the output that are kept, from its beginning
	both    bool          // standard error is part of the output
	timeout time.Duration // if zero, programTimeout
}

// run runs it to its end, or kills it with all that it started. The output counts up to there, whatever the error.
func (c Program) run(ctx context.Context) (string, error) {
	timeout := c.timeout
	if timeout == 0 {
		timeout = programTimeout
	}
	timed, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	cmd := exec.CommandContext(timed, c.Argv[0], c.Argv[1:]...)
	cmd.Env = append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}, c.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a group of its own: what it started ends with it
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = programDrain
	out, complaint := &bounded{most: c.Most}, &bounded{most: complaintMax}
	cmd.Stdout, cmd.Stderr = out, complaint
	if c.both {
		cmd.Stderr = out
	}
	err := cmd.Run()
	switch {
	case err == nil:
	case errors.Is(err, exec.ErrWaitDelay):
		_ = cmd.Cancel()
		err = errors.New("left something running that held its output, which was killed")
	case timed.Err() != nil && ctx.Err() == nil:
		err = fmt.Errorf("%w after %s", errTooSlow, timeout)
	default:
		if text := printable.Words(c.withoutArguments(string(complaint.b), complaintMax), complaintMax); text != "" {
			err = fmt.Errorf("%w: %s", err, text)
		}
	}
	return string(out.b), err
}

// leastHidden is the shortest argument that is taken out of a text: a shorter one is no secret, and would garble all the rest.
const leastHidden = 4 // bytes

// leastWord is the shortest word within an argument, such as the script of a shell, that is taken out of a text.
const leastWord = 12 // bytes

// withoutArguments is what the program says for the log, without its arguments, which it may repeat: they may be tokens. most is
// where the text was cut off.
func (c Program) withoutArguments(text string, most int) string {
	var secrets []string
	for _, a := range c.Argv[min(1, len(c.Argv)):] {
		_, value, _ := strings.Cut(a, "=")
		secrets = append(secrets, a, value)
		for _, word := range strings.FieldsFunc(a, func(r rune) bool { return r <= ' ' || strings.ContainsRune(`"'=;`, r) }) {
			if len(word) >= leastWord {
				secrets = append(secrets, word)
			}
		}
	}
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) }) // one may be a part of another
	whole := len(text) < most
	for _, secret := range secrets {
		if len(secret) < leastHidden {
			continue
		}
		text = strings.ReplaceAll(text, secret, "…")
		for n := len(secret) - 1; n >= leastHidden && !whole; n-- { // the end of the text was cut off
			if begin, cut := strings.CutSuffix(text, secret[:n]); cut {
				text = begin + "…"
			}
		}
	}
	return text
}

// bounded keeps the beginning of what is written.
type bounded struct {
	most int
	b    []byte
}

func (w *bounded) Write(p []byte) (int, error) {
	w.b = append(w.b, p[:min(len(p), w.most-len(w.b))]...)
	return len(p), nil
}
