package diag

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
)

// journalLines are asked for, of which the last stateMax bytes are kept.
const journalLines = "2000"

// journal is what systemd kept of the agent's log.
func journal(ctx context.Context) ([]byte, error) {
	path, err := exec.LookPath("journalctl")
	if err != nil {
		return nil, fmt.Errorf("%w: is the log somewhere else?", err)
	}
	var out, errs tail
	cmd := exec.CommandContext(ctx, path, "-u", "linkbeat", "-n", journalLines, "--no-pager")
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &errs, askTime
	if err := cmd.Run(); err != nil {
		return out.bytes(), fmt.Errorf("journalctl: %w: %s", err, errs.bytes())
	}
	return out.bytes(), nil
}

// tail keeps the last lines that were written to it, between stateMax and twice that in memory. The zero value is ready.
type tail struct {
	p   []byte
	cut bool
}

// Write never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.p = append(t.p, p...)
	if len(t.p) > 2*stateMax {
		t.p, t.cut = append(t.p[:0], t.p[len(t.p)-stateMax:]...), true
	}
	return len(p), nil
}

// bytes are whole lines: half a line at the front might be half a secret.
func (t *tail) bytes() []byte {
	p, cut := t.p, t.cut
	if len(p) > stateMax {
		p, cut = p[len(p)-stateMax:], true
	}
	if !cut {
		return p
	}
	_, whole, _ := bytes.Cut(p, []byte("\n"))
	return whole
}
