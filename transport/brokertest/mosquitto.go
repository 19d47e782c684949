// Package brokertest starts the real broker, mosquitto, for tests of transport and of what it stands on, and makes certificates
// for it. It knows nothing of them.
package brokertest

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Mosquitto is the real broker, on loopback, with a configuration of its own.
type Mosquitto struct {
	t    testing.TB
	port int
	cmd  *exec.Cmd
	path string
	conf string
	log  *logBuffer
}

// logBuffer is what mosquitto said.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Start starts one, which ends with the test; config gets the port and the test's folder. With NO_BROKER set, as `make unit`
// does, the test is skipped.
func Start(t testing.TB, config func(port int, dir string) string) *Mosquitto {
	t.Helper()
	if os.Getenv("NO_BROKER") != "" {
		t.Skip("NO_BROKER is set: a real broker takes real time")
	}
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		path = "/usr/sbin/mosquitto"
		if _, err := os.Stat(path); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal("mosquitto is missing: install the Debian package mosquitto")
			}
			t.Skip("mosquitto is missing: install the Debian package mosquitto")
		}
	}
	m := &Mosquitto{t: t, port: freePort(t), log: &logBuffer{}}
	dir := t.TempDir()
	m.conf = filepath.Join(dir, "mosquitto.conf")
	if err := os.WriteFile(m.conf, []byte(config(m.port, dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	m.path = path
	m.Again()
	t.Cleanup(m.Stop)
	return m
}

// How often a mosquitto is asked to end, before it is killed.
const (
	askEvery  = 500 * time.Millisecond
	askAtMost = 20
)

// Again starts it, also after Stop.
func (m *Mosquitto) Again() {
	m.t.Helper()
	m.cmd = exec.Command(m.path, "-c", m.conf)
	m.cmd.Stdout, m.cmd.Stderr = m.log, m.log
	m.start()
}

func (m *Mosquitto) start() {
	m.t.Helper()
	if err := m.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	for range 500 {
		c, err := net.Dial("tcp", m.Addr())
		if err == nil {
			_ = c.Close()
			return
		}
		<-time.After(10 * time.Millisecond)
	}
	m.Stop()
	m.t.Fatalf("mosquitto does not listen:\n%s", m.log)
}

// Stop ends it, and shows what it said where the test failed. Doing it twice is harmless. It asks more than once: mosquitto
// 2.0.11 listens before its main loop begins, and forgets a SIGTERM that comes between the two.
func (m *Mosquitto) Stop() {
	if m.cmd.Process == nil || m.cmd.ProcessState != nil {
		return
	}
	_ = m.cmd.Process.Signal(syscall.SIGCONT)
	ended := make(chan struct{})
	go func() { defer close(ended); _ = m.cmd.Wait() }()
	for asked := 0; ; asked++ {
		if asked < askAtMost {
			_ = m.cmd.Process.Signal(syscall.SIGTERM)
		} else {
			_ = m.cmd.Process.Kill()
		}
		select {
		case <-ended:
		case <-time.After(askEvery):
			continue
		}
		break
	}
	if m.t.Failed() {
		m.t.Logf("mosquitto said:\n%s", m.log)
	}
}

// Rule gives the one that ACL made other rules, from now on.
func (m *Mosquitto) Rule(rules string) {
	m.t.Helper()
	if err := os.WriteFile(filepath.Join(filepath.Dir(m.conf), aclFile), []byte(rules), 0o644); err != nil {
		m.t.Fatal(err)
	}
	if err := m.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		m.t.Fatal(err)
	}
}

// Addr is host:port of its first listener.
func (m *Mosquitto) Addr() string { return fmt.Sprintf("127.0.0.1:%d", m.port) }

// Log is what it said so far.
func (m *Mosquitto) Log() string { return m.log.String() }

// Freeze stops its process: the kernel goes on to acknowledge, and no one answers.
func (m *Mosquitto) Freeze() { _ = m.cmd.Process.Signal(syscall.SIGSTOP) }
