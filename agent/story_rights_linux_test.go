package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/agent/gate"
	"github.com/linkbeat/linkbeat/config"
	"github.com/linkbeat/linkbeat/transport/brokertest"
)

const (
	asAnother   = "LINKBEAT_TEST_AS_ANOTHER" // the document and the folder of the socket, in the environment of an agent
	anotherUser = 4711
)

// startAs is start as another user, in another process.
func (g *gateway) startAs(user uint32) {
	g.Helper()
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestAfterTheChownAllIsTakenUp$")
	cmd.Env = append(os.Environ(), asAnother+"="+g.file+":"+g.dir)
	cmd.Stdout, cmd.Stderr = g.log, g.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		g.Fatal(err)
	}
	stopped := false
	g.stop = func() {
		if stopped {
			return
		}
		stopped = true
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			g.Errorf("%v\n%s", err, g.log)
		}
	}
	g.Cleanup(func() { g.stop() })
}

// The agent runs as another user than before. What why says mends it, without a restart, or with one: no frame is lost, neither
// of those on the disk nor of those that came meanwhile, and what was on the disk is not written over.
func TestAfterTheChownAllIsTakenUp(t *testing.T) {
	if file, runtime, inside := strings.Cut(os.Getenv(asAnother), ":"); inside {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		a := New(Options{Version: "1", Log: io.Writer(os.Stderr), Runtime: runtime, Load: func() (config.Booted, error) {
			return config.Boot(config.BootOptions{File: file})
		}})
		if err := a.Run(ctx, nil); err != nil {
			t.Error(err)
		}
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, to be two users")
	}
	for name, c := range map[string]struct {
		left    func(state string) error // what the other user left
		restart bool
	}{
		"all":                      {func(string) error { return nil }, false},
		"all, and a restart":       {func(string) error { return nil }, true},
		"all but the directory":    {func(state string) error { return os.Chown(state, anotherUser, anotherUser) }, false},
		"only what is in a spool":  {chownBut("data"), false},
		"the same, and a restart":  {chownBut("data"), true},
		"only the command journal": {chownBut("commands.journal"), false},
		"only the data ledger":     {chownBut("ledger.json"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broker := brokertest.Start(t, brokertest.ACL("topic readwrite #\nuser reader\ntopic read #\n"))
			from, meter := readAll(t, broker.Addr()), newPort(t)
			later, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			g := &gateway{T: t, dir: t.TempDir(), file: filepath.Join(dir, "linkbeat.yaml"), log: &syncBuffer{}}
			state := filepath.Join(dir, "state")
			g.where = gate.Where{Sockets: gate.Sockets(g.dir, state), StateDir: state, Sure: true}
			doc := fmt.Sprintf("device: {id: gw-7}\nstate_dir: %s\nhttp: {listen: \"\"}\n"+
				"uplink: {servers: [{url: \"mqtt://%s\"}]}\n"+
				"spool: {write_after: 0s}\nserial: {meter: {port: \"tcp://%s\", frame: {type: line}}}\n",
				state, later.Addr(), meter.Addr())
			if err := os.WriteFile(g.file, []byte(doc), 0o644); err != nil {
				t.Fatal(err)
			}
			waiting := func(n int64) func() bool {
				return func() bool {
					s, err := g.where.Status(t.Context())
					return err == nil && s.Spool.Waiting == n
				}
			}
			g.start()
			g.until("the port is open", func() bool { return meter.opened() == 1 })
			meter.say(t, 5)
			g.until("five frames wait", waiting(5))
			g.stop()
			journal := []byte("{\"id\":\"carried out\"}\n")
			if err := os.WriteFile(filepath.Join(state, "commands.journal"), journal, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(os.Chmod(filepath.Dir(dir), 0o755), chownAll(g.dir)); err != nil {
				t.Fatal(err)
			}
			if err := c.left(state); err != nil {
				t.Fatal(err)
			}
			g.startAs(anotherUser)
			mend := fmt.Sprintf("if the agent ran as another user before, chown -hR %d %s;", anotherUser, state)
			g.until("the command that mends it", func() bool { return strings.Contains(g.why(), mend) })
			if why := g.why(); strings.Count(why, "chown") != 1 || strings.Contains(why, "remove") ||
				strings.Contains(why, "damage") {
				t.Errorf("it has more than one advice: %s", why)
			}
			g.until("the port is open again", func() bool { return meter.opened() == 2 })
			meter.say(t, 7)
			g.until("what came since waits", func() bool {
				s, err := g.where.Status(t.Context())
				return err == nil && s.Spool.Waiting >= 7
			})
			if err := chownAll(state); err != nil {
				t.Fatal(err)
			}
			if c.restart {
				g.stop()
				g.startAs(anotherUser)
			}
			g.until("all is taken up", func() bool {
				s, err := g.where.Status(t.Context())
				return err == nil && s.Spool.Waiting == 12 && !strings.Contains(s.Why, "chown")
			})
			go forward(later, broker.Addr())
			g.until("all has arrived", func() bool { lines, _ := from.got("meter"); return lines == 12 })
			if _, again := from.got("meter"); again != 0 {
				t.Errorf("%d came twice", again)
			}
			if p, err := os.ReadFile(filepath.Join(state, "commands.journal")); err != nil ||
				!strings.Contains(string(p), "carried out") {
				t.Errorf("the journal was written over: %q, %v", p, err)
			}
			g.stop()
		})
	}
}

// chownAll is what why says.
func chownAll(path string) error {
	return filepath.WalkDir(path, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, anotherUser, anotherUser)
	})
}

// chownBut gives all but one file or folder, and what is in it, to the other user.
func chownBut(name string) func(state string) error {
	return func(state string) error {
		if err := chownAll(state); err != nil {
			return err
		}
		return filepath.WalkDir(state, func(path string, _ os.DirEntry, err error) error {
			if err != nil || !strings.Contains(path, "/"+name) {
				return err
			}
			return os.Lchown(path, 0, 0)
		})
	}
}

// forward carries connections to a server.
func forward(from net.Listener, to string) {
	for {
		c, err := from.Accept()
		if err != nil {
			return
		}
		out, err := net.DialTimeout("tcp", to, time.Second)
		if err != nil {
			_ = c.Close()
			continue
		}
		go func() { _, _ = io.Copy(out, c); _ = out.Close() }()
		go func() { _, _ = io.Copy(c, out); _ = c.Close() }()
	}
}
