// Package kit holds what the end-to-end tests and the `make` targets share: the real mosquitto, pseudo-terminals that
// play devices, the agent as a child process, a collecting subscriber, and the table of results. It looks at linkbeat
// from the outside only: the command line, the configuration document, the topics and the documented JSON.
package kit

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"
)

// Env owns everything one run started: processes, ptys, namespaces, folders. Close undoes it all in reverse order, also
// after a failure. Safe for concurrent use.
type Env struct {
	Ctx context.Context // done when the run must end
	Dir string          // scratch folder, removed by Close

	logf   func(format string, args ...any)
	cancel context.CancelFunc
	starts chan func() // for the thread that starts processes
	closed chan struct{}

	patience time.Duration // times this long Until waits; beside other tests nothing is judged by how long it takes

	mu    sync.Mutex
	undo  []func()
	procs []*Proc
}

// NewEnv makes an Env whose life is bounded by limit. logf gets one line per event worth reading.
func NewEnv(ctx context.Context, limit time.Duration, logf func(format string, args ...any)) (*Env, error) {
	dir, err := os.MkdirTemp("", "linkbeat-")
	if err != nil {
		return nil, fmt.Errorf("scratch folder: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	e := &Env{Ctx: ctx, Dir: dir, logf: logf, cancel: cancel, starts: make(chan func()), closed: make(chan struct{}),
		patience: 1}
	e.Defer(func() { _ = os.RemoveAll(dir) })
	e.Defer(func() { close(e.closed) })
	go e.starter()
	return e, nil
}

// starter is one thread that starts every process and lives until they are gone: the kernel sends Pdeathsig when the
// *thread* that forked ends, and the threads that visit namespaces do end.
func (e *Env) starter() {
	runtime.LockOSThread()
	for {
		select {
		case f := <-e.starts:
			f()
		case <-e.closed:
			return
		}
	}
}

// start runs cmd.Start on the starter's thread.
func (e *Env) start(cmd *exec.Cmd) error {
	if err := e.Ctx.Err(); err != nil {
		return err
	}
	errs := make(chan error, 1)
	select {
	case e.starts <- func() { errs <- cmd.Start() }:
		return <-errs
	case <-e.closed:
		return context.Canceled
	}
}

// Logf reports one event.
func (e *Env) Logf(format string, args ...any) { e.logf(format, args...) }

// Defer registers f to run at Close, last registered first.
func (e *Env) Defer(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.undo = append(e.undo, f)
}

// Close stops and removes all that the Env owns. Calling it again does nothing.
func (e *Env) Close() {
	e.cancel()
	for {
		e.mu.Lock()
		n := len(e.undo)
		if n == 0 {
			e.mu.Unlock()
			return
		}
		f := e.undo[n-1]
		e.undo = e.undo[:n-1]
		e.mu.Unlock()
		f()
	}
}

// Sub makes a scratch folder below Dir.
func (e *Env) Sub(name string) (string, error) {
	dir, err := os.MkdirTemp(e.Dir, name+"-")
	if err != nil {
		return "", fmt.Errorf("scratch folder %s: %w", name, err)
	}
	return dir, nil
}

// Tails returns the last lines of every process' output, for the report of a failure.
func (e *Env) Tails(lines int) string {
	e.mu.Lock()
	procs := append([]*Proc(nil), e.procs...)
	e.mu.Unlock()
	out, shown := "", map[string]bool{}
	for _, p := range procs {
		if shown[p.LogPath] { // restarts write on in the same file
			continue
		}
		shown[p.LogPath] = true
		out += fmt.Sprintf("--- %s (pid %d, %s)\n%s\n", p.Name, p.Pid(), filepath.Base(p.LogPath), p.Tail(lines))
	}
	return out
}

// testPatience is for a machine that has other things to do.
const testPatience = 3

// Test makes an Env for a test: closed at its end, and with the output of all processes in the log when it failed. Until waits
// three times as long there: `make test` runs on any machine, beside anything.
func Test(t testing.TB, limit time.Duration) *Env {
	t.Helper()
	start := time.Now()
	e, err := NewEnv(context.Background(), limit, func(format string, args ...any) {
		t.Logf("%6.2fs "+format, append([]any{time.Since(start).Seconds()}, args...)...)
	})
	if err != nil {
		t.Fatal(err)
	}
	e.patience = testPatience
	t.Cleanup(func() {
		tails := ""
		if t.Failed() {
			tails = e.Tails(40)
		}
		e.Close()
		if tails != "" {
			t.Log(tails)
		}
	})
	return e
}

// Sleep waits for d or for the end of the run, whichever comes first.
func (e *Env) Sleep(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-e.Ctx.Done():
	}
}

// Until asks ok every 20 ms until it says yes; the error names what was waited for.
func (e *Env) Until(what string, limit time.Duration, ok func() bool) error {
	limit *= e.patience
	deadline := time.Now().Add(limit)
	for !ok() {
		if e.Ctx.Err() != nil {
			return fmt.Errorf("waiting for %s: the run's own time limit is over: %w", what, e.Ctx.Err())
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("waiting for %s: not within %v", what, limit)
		}
		e.Sleep(20 * time.Millisecond)
	}
	return nil
}
