package kit

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Proc is a child process with its output in a file. Every signal goes to this pid and no other; the kernel kills the
// child when the harness itself dies.
type Proc struct {
	Name    string
	LogPath string
	Started time.Time

	cmd  *exec.Cmd
	done chan struct{} // closed after Wait
}

// StartProc runs argv, inside the network namespace netns when that is not empty. `ip netns exec` replaces itself by
// the program, so the pid is the program's.
func (e *Env) StartProc(name, netns string, env []string, argv ...string) (*Proc, error) {
	if netns != "" {
		argv = append([]string{"ip", "netns", "exec", netns}, argv...)
	}
	log, err := os.OpenFile(filepath.Join(e.Dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("log of %s: %w", name, err)
	}
	defer log.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p := &Proc{Name: name, LogPath: log.Name(), Started: time.Now(), cmd: cmd, done: make(chan struct{})}
	if err := e.start(cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		_ = cmd.Wait() // the exit code is asked for later
		close(p.done)
	}()
	e.mu.Lock()
	e.procs = append(e.procs, p)
	e.mu.Unlock()
	e.Defer(p.Kill)
	return p, nil
}

// Pid of the process.
func (p *Proc) Pid() int { return p.cmd.Process.Pid }

// Signal the process; an error when it has ended.
func (p *Proc) Signal(s syscall.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil {
		return fmt.Errorf("%v to %s (pid %d): %w", s, p.Name, p.Pid(), err)
	}
	return nil
}

// Done is closed when the process has ended.
func (p *Proc) Done() <-chan struct{} { return p.done }

// Running reports whether the process lives.
func (p *Proc) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Kill ends the process with SIGKILL and waits for it. It wakes a stopped one too.
func (p *Proc) Kill() {
	_ = p.cmd.Process.Kill() // already gone is fine
	<-p.done
}

// Stop asks with SIGTERM and returns the exit code; SIGKILL and an error after grace.
func (p *Proc) Stop(grace time.Duration) (int, error) {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	return p.Exit(grace)
}

// Exit waits for the end of the process and returns its exit code; SIGKILL and an error after grace.
func (p *Proc) Exit(grace time.Duration) (int, error) {
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-timer.C:
		p.Kill()
		return -1, fmt.Errorf("%s (pid %d) did not end within %v", p.Name, p.Pid(), grace)
	}
}

// MaxRSS is the most that an ended process had resident, in bytes, and never less than that: Linux counts what we had when we
// started it, too. 0: it runs.
func (p *Proc) MaxRSS() int64 {
	if p.Running() {
		return 0
	}
	if u, ok := p.cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		return int64(u.Maxrss) << 10
	}
	return 0
}

// Tail returns the last lines of the output.
func (p *Proc) Tail(lines int) string {
	b, err := os.ReadFile(p.LogPath)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// CPU is the time, user and system, that the running process used so far (proc(5), fields 14 and 15; 100 ticks a second
// on every Linux).
func (p *Proc) CPU() (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Pid()))
	if err != nil {
		return 0, fmt.Errorf("cpu time of %s: %w", p.Name, err)
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0, fmt.Errorf("cpu time of %s: %d fields in /proc/%d/stat", p.Name, len(f), p.Pid())
	}
	var user, system int64
	if _, err := fmt.Sscan(f[11]+" "+f[12], &user, &system); err != nil {
		return 0, fmt.Errorf("cpu time of %s: %w", p.Name, err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond, nil
}
