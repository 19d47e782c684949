package kit

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// AgentOptions choose which binary runs where.
type AgentOptions struct {
	Argv  []string // the program; with an emulator in front when it is for another machine
	Doc   Doc      // state_dir and http.listen are filled in
	Netns string
	Env   []string
}

// Agent is `linkbeat run` as a child process; it can be killed and started again on the same state.
type Agent struct {
	ID, Dir, ConfigPath, HTTP string

	o      AgentOptions
	e      *Env
	proc   *Proc
	client *http.Client
}

// BuildAgent compiles linkbeat once for this Env and returns its path; target "" is this machine.
func (e *Env) BuildAgent(target string) (string, error) {
	out := filepath.Join(e.Dir, "linkbeat"+target)
	if _, err := os.Stat(out); err == nil {
		return out, nil
	}
	var env []string
	if target != "" {
		t, err := FindTarget(target)
		if err != nil {
			return "", err
		}
		env = t.Env
	}
	return out, Build(e.Ctx, "cmd/linkbeat", out, env...)
}

// Agent prepares an agent: state folder, port for its page, configuration file. Start runs it.
func (e *Env) Agent(o AgentOptions) (*Agent, error) {
	dir, err := e.Sub("agent")
	if err != nil {
		return nil, err
	}
	port, err := FreePort("127.0.0.1")
	if err != nil {
		return nil, err
	}
	if len(o.Argv) == 0 {
		bin, err := e.BuildAgent("")
		if err != nil {
			return nil, err
		}
		o.Argv = []string{bin}
	}
	id, _ := o.Doc["device"].(map[string]any)["id"].(string)
	a := &Agent{ID: id, Dir: dir, ConfigPath: filepath.Join(dir, "linkbeat.yaml"), HTTP: "127.0.0.1:" + strconv.Itoa(port),
		o: o, e: e}
	a.client = &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{
		DialContext: Dialer(o.Netns), MaxIdleConns: 1, IdleConnTimeout: time.Second}}
	e.Defer(a.client.CloseIdleConnections)
	return a, a.Configure(o.Doc)
}

// Configure writes the configuration file.
func (a *Agent) Configure(d Doc) error {
	d.Set("state_dir", filepath.Join(a.Dir, "state")).Set("http.listen", a.HTTP)
	b, err := d.YAML()
	if err != nil {
		return err
	}
	return a.ConfigureRaw(b)
}

// ConfigureRaw writes any bytes as the configuration file.
func (a *Agent) ConfigureRaw(b []byte) error {
	if err := os.WriteFile(a.ConfigPath, b, 0o600); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	return nil
}

// Use makes argv the program that the next Start runs.
func (a *Agent) Use(argv ...string) { a.o.Argv = argv }

// Start runs the agent; it does not wait for anything.
func (a *Agent) Start() error {
	argv := append(append([]string(nil), a.o.Argv...), "run", "-c", a.ConfigPath)
	env := append([]string{"RUNTIME_DIRECTORY=" + a.Dir}, a.o.Env...) // its socket is not where one of this machine has it
	p, err := a.e.StartProc(filepath.Base(a.Dir), a.o.Netns, env, argv...)
	if err != nil {
		return err
	}
	a.proc = p
	return nil
}

// StartUp runs the agent and waits until its uplink is up.
func (a *Agent) StartUp() error {
	if err := a.Start(); err != nil {
		return err
	}
	return a.WaitUp(20 * time.Second)
}

// WaitUp waits until the uplink is up; an agent that ended is an error at once.
func (a *Agent) WaitUp(limit time.Duration) error {
	err := a.e.Until("the uplink to be up", limit, func() bool {
		s, err := a.Status()
		return !a.proc.Running() || err == nil && s.Uplink.State == "up"
	})
	if err == nil && a.proc.Running() {
		return nil
	}
	_, raw, _ := getStatus(a.client, "http://"+a.HTTP+"/status")
	if err == nil {
		err = errors.New("it ended")
	}
	return fmt.Errorf("agent is not up: %w\nstatus: %s\n%s", err, raw, a.proc.Tail(20))
}

// Status asks the agent's page.
func (a *Agent) Status() (*Status, error) {
	s, _, err := getStatus(a.client, "http://"+a.HTTP+"/status")
	return s, err
}

// StatusInto asks the agent's page and decodes what it says into v.
func (a *Agent) StatusInto(v any) error {
	_, raw, err := getStatus(a.client, "http://"+a.HTTP+"/status")
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("status: %w: %.400s", err, raw)
	}
	return nil
}

// Socket is the path of the agent's socket.
func (a *Agent) Socket() string { return filepath.Join(a.Dir, "linkbeat.sock") }

// Proc is the running (or last) process.
func (a *Agent) Proc() *Proc { return a.proc }

// Kill ends the agent with SIGKILL.
func (a *Agent) Kill() { a.proc.Kill() }

// Term asks the agent to end in order; the exit code must be 0.
func (a *Agent) Term() error {
	code, err := a.proc.Stop(20 * time.Second)
	if err != nil {
		return err
	}
	if code != 0 {
		return fmt.Errorf("agent: exit code %d after SIGTERM\n%s", code, a.proc.Tail(20))
	}
	return nil
}

// Reload asks for the configuration to be read again.
func (a *Agent) Reload() error { return a.proc.Signal(syscall.SIGHUP) }

// Topic of the default templates: Topic("up/data/meter").
func (a *Agent) Topic(rest string) string { return "lb/" + a.ID + "/" + rest }

// Drained waits until the spool has nothing left to send and every byte read is accounted for.
func (a *Agent) Drained(limit time.Duration) error {
	return a.e.Until("the spool to be empty", limit, func() bool {
		s, err := a.Status()
		return err == nil && s.Spool.Waiting == 0
	})
}

// RSS is the resident memory of the process in bytes (VmRSS).
func (a *Agent) RSS() (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", a.proc.Pid()))
	if err != nil {
		return 0, fmt.Errorf("resident memory: %w", err)
	}
	for _, line := range strings.Split(string(b), "\n") {
		var kib int64
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kib); err == nil {
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("no VmRSS in /proc/%d/status", a.proc.Pid())
}
