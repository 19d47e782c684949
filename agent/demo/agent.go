package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	startWithin = 20 * time.Second
	stopWithin  = 10 * time.Second // the agent's own limits add up to 7 s
	statusEvery = 100 * time.Millisecond
	statusLimit = 1 << 20

	excerptBytes = 2000
)

// status is what the demo needs of GET /status.
type status struct {
	Uplink struct {
		State string `json:"state"`
		Drops int64  `json:"drops"`
	} `json:"uplink"`
	Heartbeat struct {
		IntervalS float64 `json:"interval_s"`
		ProvenS   float64 `json:"proven_s"`
		Pings     int64   `json:"pings"`
		CostBytes int64   `json:"cost_bytes"`
	} `json:"heartbeat"`
	Serial map[string]struct {
		State string `json:"state"`
	} `json:"serial"`
	Why string `json:"why"`
}

// agent is the real program as a child process.
type agent struct {
	dir    string // configuration, state, log
	url    string // http://127.0.0.1:40124
	cmd    *exec.Cmd
	exited chan struct{}
	err    error // of the process, once exited is closed
	client http.Client
}

// find returns the program: as named, else beside this one, else from $PATH.
func find(named string) (string, error) {
	if named != "" {
		if info, err := os.Stat(named); err != nil || info.IsDir() {
			return "", fmt.Errorf("agent %s is not there: build it (make build) or name it with --agent", named)
		}
		return filepath.Abs(named)
	}
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), "linkbeat")
		if info, err := os.Stat(beside); err == nil && !info.IsDir() {
			return beside, nil
		}
	}
	path, err := exec.LookPath("linkbeat")
	if err != nil {
		return "", errors.New("no linkbeat beside this program or in $PATH: build it (make build) or name it with --agent")
	}
	return path, nil
}

// startAgent runs program with a configuration for port and server.
func startAgent(program, dir, server, port string) (*agent, error) {
	page, err := freePort()
	if err != nil {
		return nil, err
	}
	a := &agent{dir: dir, url: "http://" + page, exited: make(chan struct{}), client: http.Client{Timeout: 2 * time.Second}}
	if err := os.WriteFile(a.file("linkbeat.yaml"), document(dir, server, port, page), 0o600); err != nil {
		return nil, fmt.Errorf("configuration of the agent: %w", err)
	}
	log, err := os.Create(a.file("agent.log"))
	if err != nil {
		return nil, fmt.Errorf("log of the agent: %w", err)
	}
	defer log.Close()
	a.cmd = exec.Command(program, "run", "-c", a.file("linkbeat.yaml"))
	a.cmd.Dir, a.cmd.Stdout, a.cmd.Stderr = dir, log, log
	a.cmd.Env = append(os.Environ(), "RUNTIME_DIRECTORY="+dir) // its socket is not where an agent of this machine has its own
	a.cmd.SysProcAttr = ownGroup()                             // ctrl-C is for us; we stop the agent in its turn
	if err := a.cmd.Start(); err != nil {
		return nil, fmt.Errorf("agent: %w", err)
	}
	go func() {
		a.err = a.cmd.Wait()
		close(a.exited)
	}()
	return a, nil
}

func (a *agent) file(name string) string { return filepath.Join(a.dir, name) }

// document is the agent's configuration. JSON strings are YAML strings.
func document(dir, server, port, page string) []byte {
	q := func(s string) string { return fmt.Sprintf("%q", s) }
	return []byte(`# written by linkbeatctl demo
device: {id: ` + deviceID + `}
state_dir: ` + q(filepath.Join(dir, "state")) + `
uplink:
  servers: [{url: ` + q("mqtt://"+server) + `}]
  detect_within: ` + detectWithin.String() + `
  keepalive: ` + plainKeepalive.String() + ` # what CONNECT says, as that of the plain client
heartbeat: {learn: fast, min: ` + beatLeast.String() + `, probe_after: 0s} # where the limit is, the agent finds out
serial:
  ` + deviceName + `: {port: ` + q(port) + `, baud: 9600, frame: {type: line}, commands: true}
http: {listen: ` + q(page) + `}
`)
}

// freePort returns an address of loopback without a listener. Nothing reserves the port until the agent listens there; where
// all of 127.0.0.0/8 is loopback, demos side by side have different hosts.
func freePort() (string, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(loopback(), "0"))
	if err != nil {
		return "", fmt.Errorf("port for the agent's page: %w", err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}

// ready waits until the agent is connected and has its port open.
func (a *agent) ready(parent context.Context) error {
	ctx, cancel := context.WithTimeout(parent, startWithin)
	defer cancel()
	tick := time.NewTicker(statusEvery)
	defer tick.Stop()
	for {
		s, err := a.status(ctx)
		if err == nil && s.Uplink.State == "up" && s.Serial[deviceName].State == "open" {
			return nil
		}
		select {
		case <-tick.C:
		case <-a.exited:
			return fmt.Errorf("agent ended with code %d; its log says:\n%s", a.cmd.ProcessState.ExitCode(), a.logTail())
		case <-ctx.Done():
			if parent.Err() != nil {
				return errors.New("interrupted before the agent was ready")
			}
			if err == nil {
				err = fmt.Errorf("it says %q", s.Why)
			}
			return fmt.Errorf("agent is not ready after %v: %w; its log says:\n%s", startWithin, err, a.logTail())
		}
	}
}

// status asks the agent's page.
func (a *agent) status(ctx context.Context) (s status, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.url+"/status", nil)
	if err != nil {
		return s, err
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return s, fmt.Errorf("status of the agent: %w", err)
	}
	defer resp.Body.Close()
	err = json.NewDecoder(io.LimitReader(resp.Body, statusLimit)).Decode(&s)
	return s, err
}

// stop asks the agent to end, and waits; it kills what does not.
func (a *agent) stop() error {
	_ = a.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.NewTimer(stopWithin)
	defer timer.Stop()
	select {
	case <-a.exited:
	case <-timer.C:
		_ = a.cmd.Process.Kill()
		<-a.exited
		return fmt.Errorf("agent did not end within %v of SIGTERM", stopWithin)
	}
	if a.err != nil {
		return fmt.Errorf("agent: %w; its log says:\n%s", a.err, a.logTail())
	}
	return nil
}

// logTail returns the last lines of the agent's log, and before them the line that says why it crashed.
func (a *agent) logTail() string {
	b, err := os.ReadFile(a.file("agent.log"))
	if err != nil {
		return err.Error()
	}
	return excerpt(string(b))
}

// excerpt returns the end of a log, whole lines of about excerptBytes. A Go program that crashes prints why first and then
// the stacks, which are longer than that: the first such line is never left out.
func excerpt(log string) string {
	log = strings.TrimSpace(log)
	if log == "" {
		return "nothing"
	}
	cut := max(0, len(log)-excerptBytes)
	if cut == 0 {
		return log
	}
	if n := strings.IndexByte(log[cut:], '\n'); n >= 0 {
		cut += n + 1
	}
	for line := range strings.Lines(log[:cut]) {
		if crash(line) {
			return strings.TrimSpace(line) + "\n…\n" + log[cut:]
		}
	}
	return log[cut:]
}

// crash tells the first line that the Go runtime writes when a program ends by a fault.
func crash(line string) bool {
	return strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal error:") || strings.HasPrefix(line, "runtime:") ||
		strings.HasPrefix(line, "SIG") || strings.HasPrefix(line, "unexpected fault address")
}
