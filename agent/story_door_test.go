package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/agent/gate"
	"github.com/linkbeat/linkbeat/agent/statuspage"
	"github.com/linkbeat/linkbeat/config"
)

// house is an agent that runs in this process, without a server to connect to.
type house struct {
	*testing.T
	file, state string
	agent       *Agent
	log         *syncBuffer
	where       gate.Where
}

type syncBuffer struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.String()
}

func (h *house) write(more string) {
	h.Helper()
	doc := fmt.Sprintf("device: {id: gw-7}\nstate_dir: %s\nuplink: {servers: [{url: \"mqtt://127.0.0.1:1\"}]}\n%s", h.state, more)
	if err := os.WriteFile(h.file, []byte(doc), 0o600); err != nil {
		h.Fatal(err)
	}
}

// inHouse runs an agent until the test ends, with its socket in runtime, and waits until it answers there.
func inHouse(t *testing.T, runtime, more string) *house {
	t.Helper()
	dir := t.TempDir()
	h := &house{T: t, file: filepath.Join(dir, "linkbeat.yaml"), state: filepath.Join(dir, "state"), log: &syncBuffer{}}
	h.write(more)
	h.where = gate.Where{Sockets: gate.Sockets(runtime, h.state), StateDir: h.state, Sure: true}
	h.agent = New(Options{Version: "1", Log: h.log, Runtime: runtime, Load: func() (config.Booted, error) {
		return config.Boot(config.BootOptions{File: h.file})
	}})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.agent.Run(ctx, nil) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("%v\n%s", err, h.log)
		}
		for _, path := range h.where.Sockets {
			if _, err := os.Lstat(path); err == nil && strings.HasPrefix(path, dir) {
				t.Errorf("%s was left behind", path)
			}
		}
	})
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); ; <-tick.C {
		_, err := h.where.Status(t.Context())
		if err == nil {
			return h
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v\n%s", err, h.log)
		}
	}
}

func (h *house) reload() statuspage.Reloaded {
	h.Helper()
	r, err := h.where.Reload(h.Context())
	if err != nil {
		h.Errorf("%v\n%s", err, h.log)
	}
	return r
}

// Without a page the socket works; it says what came of each reload, also of one that ends all the rest of the agent.
func TestReloadOverTheSocketSaysWhatCameOfIt(t *testing.T) {
	h := inHouse(t, t.TempDir(), `http: {listen: ""}`)
	if r := h.reload(); r.Fault != "" || len(r.Changes) != 0 {
		t.Errorf("nothing changed: %+v", r)
	}
	h.write("http: {listen: \"\"}\nlog: {level: debug}\n")
	if r := h.reload(); r.Fault != "" || len(r.Changes) != 1 || !strings.Contains(r.Changes[0], "log.level") {
		t.Errorf("the log level: %+v", r)
	}
	h.write("http: {listen: \"\"}\nheartbeat: {interval: never}\n")
	if r := h.reload(); !strings.Contains(r.Fault, "heartbeat.interval") || len(r.Changes) != 0 {
		t.Errorf("a fault: %+v", r)
	}
	h.write("http: {listen: \"\"}\nuplink: {detect_within: 30s}\n") // twice the same key
	if r := h.reload(); r.Fault == "" {
		t.Errorf("another fault: %+v", r)
	}
	h.write("http: {listen: \"\"}\nserial: {meter: {port: /dev/nowhere, frame: {type: lime}}}\n")
	if r := h.reload(); r.Fault != "" || !strings.Contains(r.Disabled, "meter disabled") {
		t.Errorf("a device with a fault: %+v", r)
	}
	h.write("http: {listen: \"\"}\ntopics: {data: \"lb/{id}/up/other/{name}\"}\n")
	if r := h.reload(); r.Fault != "" || len(r.Changes) == 0 {
		t.Errorf("another uplink: %+v", r)
	}
	h.state += "-next" // the socket is not in it
	h.where.StateDir = h.state
	h.write("http: {listen: \"\"}\n")
	h.where.Sure = false
	if r := h.reload(); r.Fault != "" || !strings.Contains(strings.Join(r.Changes, " "), "state_dir") {
		t.Errorf("another state_dir: %+v", r)
	}
	h.where.Sure = true
	if s, err := h.where.Status(t.Context()); err != nil || s.ID != "gw-7" {
		t.Errorf("%+v, %v", s, err)
	}
}

// Where the socket is in the state directory it moves with it, and who asked for the move is answered.
func TestSocketMovesWithTheStateDirectory(t *testing.T) {
	nowhere := filepath.Join(t.TempDir(), "no", "such")
	h := inHouse(t, nowhere, `http: {listen: ""}`)
	was := h.where.Sockets[len(h.where.Sockets)-1]
	h.state += "-next"
	h.write(`http: {listen: ""}`)
	if r := h.reload(); r.Fault != "" || len(r.Changes) == 0 {
		t.Errorf("%+v", r)
	}
	if _, err := os.Lstat(was); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the old one is still there: %v", err)
	}
	h.where = gate.Where{Sockets: gate.Sockets(nowhere, h.state), StateDir: h.state, Sure: true}
	if _, err := h.where.Status(t.Context()); err != nil {
		t.Error(err)
	}
}

// Two agents with one runtime folder, as on a machine with two services: each has a socket, and each is found by its document.
func TestTwoAgentsHaveASocketEach(t *testing.T) {
	runtime := t.TempDir()
	a := inHouse(t, runtime, `http: {listen: ""}`)
	b := inHouse(t, runtime, `http: {listen: ""}`)
	if _, err := os.Lstat(filepath.Join(b.state, "linkbeat.sock")); err != nil {
		t.Error(err)
	}
	b.write("http: {listen: \"\"}\nlog: {level: debug}\n")
	if r := b.reload(); len(r.Changes) != 1 {
		t.Errorf("%+v", r)
	}
	if r := a.reload(); r.Fault != "" || len(r.Changes) != 0 {
		t.Errorf("the first was reloaded in its place: %+v", r)
	}
}

func TestReconnectWithoutAServerSaysWhy(t *testing.T) {
	h := inHouse(t, t.TempDir(), `http: {listen: ""}`)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if said, err := h.where.Reconnect(ctx); err == nil {
		t.Errorf("%q", said)
	}
	if by := fmt.Sprintf(`"by":"user %d, pid %d"`, os.Geteuid(), os.Getpid()); !strings.Contains(h.log.String(), by) {
		t.Errorf("the log does not say who asked, %s", by)
	}
	if !strings.Contains(h.log.String(), "asked to reconnect") {
		t.Errorf("%s", h.log)
	}
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// As scripts ask it: curl 127.0.0.1:8077/status goes on, a tap over TCP does not, and 1,024 connections that a stranger holds
// stop neither the socket nor what the agent opens for itself.
func TestStrangersOnTCP(t *testing.T) {
	addr := freeAddr(t)
	h := inHouse(t, t.TempDir(), "http: {listen: \""+addr+"\"}\nserial: {meter: {port: /dev/nowhere, frame: {type: line}}}\n")
	get := func(path string) (int, string) {
		t.Helper()
		res, err := http.Get("http://" + addr + path)
		// the page comes a moment after the socket
		for start := time.Now(); err != nil; res, err = http.Get("http://" + addr + path) {
			if time.Since(start) > 20*time.Second {
				t.Fatal(err)
			}
		}
		defer res.Body.Close()
		p, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(p)
	}
	if code, body := get("/status"); code != 200 || !strings.Contains(body, `"id": "gw-7"`) {
		t.Errorf("%d %s", code, body)
	}
	if code, body := get("/tap/meter"); code != 403 || !strings.Contains(body, "linkbeat tap") {
		t.Errorf("%d %s", code, body)
	}
	before := descriptors(t)
	for range 1024 {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	for range 20 {
		if _, err := h.where.Status(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if code, body := get("/healthz"); code != 200 {
		t.Errorf("%d %s", code, body)
	}
	// Both ends are ours here: 1,024 of the stranger's, and the agent's.
	if held := descriptors(t) - before - 1024; held > 64+8 {
		t.Errorf("the agent holds %d descriptors for them", held)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc")
	}
	return len(all)
}

// A socket that somebody removed is made again.
func TestSocketThatWasRemovedIsMadeAgain(t *testing.T) {
	h := inHouse(t, t.TempDir(), `http: {listen: ""}`)
	if err := os.Remove(h.where.Sockets[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := h.where.Status(t.Context()); err == nil {
		t.Fatal("it is still there")
	}
	h.agent.door.open() // as every 15 s
	if s, err := h.where.Status(t.Context()); err != nil || s.Why == "" {
		t.Errorf("%+v, %v", s, err)
	}
}

// An agent without a place for its socket runs, and says it.
func TestAgentWithoutASocketRuns(t *testing.T) {
	h := inHouse(t, t.TempDir(), `http: {listen: ""}`)
	h.agent.o.Runtime = "/proc/self" // where nobody can make one
	h.agent.door.mu.Lock()
	if err := h.agent.door.shut(); err != nil {
		t.Error(err)
	}
	h.agent.door.mu.Unlock()
	if err := os.Symlink("/etc/hostname", filepath.Join(h.state, "linkbeat.sock")); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(filepath.Join(h.state, "linkbeat.sock"))
	for range 2 {
		h.agent.door.open()
	}
	if why := h.agent.status().Why; !strings.Contains(why, "there is no local socket") ||
		!strings.Contains(why, "linkbeat.sock is not linkbeat's: it is left alone") {
		t.Error(why)
	}
	if n := strings.Count(h.log.String(), "there is no local socket"); n != 1 {
		t.Errorf("said %d times", n)
	}
}
