package transport

import (
	"bytes"
	"context"
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

// mosquitto is the real broker, on loopback, with a configuration of its own.
type mosquitto struct {
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

// startMosquitto starts one; config gets the port and the test's folder.
func startMosquitto(t testing.TB, config func(port int, dir string) string) *mosquitto {
	t.Helper()
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
	m := &mosquitto{t: t, port: freePort(t), log: &logBuffer{}}
	dir := t.TempDir()
	m.conf = filepath.Join(dir, "mosquitto.conf")
	if err := os.WriteFile(m.conf, []byte(config(m.port, dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	m.path = path
	m.again()
	t.Cleanup(m.stop)
	return m
}

// again starts it, also after stop.
func (m *mosquitto) again() {
	m.t.Helper()
	m.cmd = exec.Command(m.path, "-c", m.conf)
	m.cmd.Stdout, m.cmd.Stderr = m.log, m.log
	m.start()
}

func (m *mosquitto) start() {
	m.t.Helper()
	if err := m.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	for range 500 {
		c, err := net.Dial("tcp", m.addr())
		if err == nil {
			_ = c.Close()
			return
		}
		<-time.After(10 * time.Millisecond)
	}
	m.stop()
	m.t.Fatalf("mosquitto does not listen:\n%s", m.log)
}

func (m *mosquitto) stop() {
	if m.cmd.Process == nil || m.cmd.ProcessState != nil {
		return
	}
	_ = m.cmd.Process.Signal(syscall.SIGCONT)
	_ = m.cmd.Process.Signal(syscall.SIGTERM)
	_ = m.cmd.Wait()
	if m.t.Failed() {
		m.t.Logf("mosquitto said:\n%s", m.log)
	}
}

func (m *mosquitto) addr() string { return fmt.Sprintf("127.0.0.1:%d", m.port) }

func (m *mosquitto) freeze() { _ = m.cmd.Process.Signal(syscall.SIGSTOP) }

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func plainConfig(port int, _ string) string {
	return fmt.Sprintf("listener %d 127.0.0.1\nallow_anonymous true\nlog_type debug\n", port)
}

// runLink runs l until the test ends.
func runLink(t testing.TB, l *Link) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := l.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

const patience = 30 * time.Second // for anything on loopback: far more than it needs

func awaitUp(t testing.TB, l *Link) {
	t.Helper()
	select {
	case <-l.Ready():
	case <-time.After(patience):
		t.Fatalf("link is not up: %+v", l.Status())
	}
}

func await[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("%s did not come", what)
		panic("unreachable")
	}
}

func stateOf(online bool, s Session) []byte {
	return fmt.Appendf(nil, `{"online":%v,"session":%d,"since":%d}`, online, s.Number, s.Since.UnixMilli())
}
