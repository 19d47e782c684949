package gate

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A stranger is a user of this machine without rights: this test program again, under another uid.

const (
	nobody      = 65534
	strangerVar = "GATE_STRANGER" // what the stranger does: "dial <path>", "tap <path>", "page", "page hangs up"
)

// stranger makes a command that does what, as a user who is nobody.
func asStranger(t *testing.T, what string) *exec.Cmd {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to be another user")
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestStranger$") // its folder is closed to others
	cmd.Env = append(os.Environ(), strangerVar+"="+what)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}, Pdeathsig: syscall.SIGKILL}
	return cmd
}

// TestStranger is the stranger's side; by itself it does nothing.
func TestStranger(t *testing.T) {
	what, path, _ := strings.Cut(os.Getenv(strangerVar), " ")
	switch what {
	case "":
		return // it is no test of its own: others run it, as another user
	case "dial":
		_, err := net.Dial("unix", path)
		fmt.Printf("permission %v: %v\n", errors.Is(err, os.ErrPermission), err)
	case "tap":
		w := Where{Sockets: []string{path, "/root/linkbeat.sock"}, Listen: "127.0.0.1:1"}
		fmt.Println("tap:", w.Tap(t.Context(), "meter", os.Stdout))
	case "page":
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(l.Addr())
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if path == "hangs up" { // so that the connection is nobody's, which looks like root's
				_ = l.Close()
			}
			const body = `{"id":"fake","uplink":{"state":"up"}}`
			fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
			if path == "hangs up" {
				_ = conn.Close()
				_, _ = io.Copy(io.Discard, os.Stdin)
				return
			}
		}
	}
}

// open is a folder that everybody may look into.
func open(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "gate")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	return folder
}

func TestStrangerCannotOpenTheSocket(t *testing.T) {
	l := serve(t, open(t), "gw-7", "/s")
	said, err := asStranger(t, "dial "+l.Path).Output()
	if err != nil || !bytes.HasPrefix(said, []byte("permission true")) {
		t.Errorf("%s%v", said, err)
	}
}

// Whoever may not is told who may, and what to do.
func TestStrangerIsToldWhoMay(t *testing.T) {
	for what, c := range map[string]struct {
		gid  int
		want []string
	}{
		"of root alone": {0, []string{"which is for root alone: run this with sudo"}},
		"of a group": {1, []string{"the group daemon: run this with sudo, or join the group",
			"usermod -aG daemon nobody) and log in again"}},
	} {
		l := serve(t, open(t), "gw-7", "/s")
		if err := os.Chown(l.Path, 0, c.gid); err != nil && os.Geteuid() == 0 {
			t.Fatal(err)
		}
		said, err := asStranger(t, "tap "+l.Path).Output()
		if err != nil {
			t.Fatalf("%s%v", said, err)
		}
		for _, want := range append(c.want, "not allowed: user nobody may not open "+l.Path) {
			if !strings.Contains(string(said), want) {
				t.Errorf("%s: %s, want %q", what, said, want)
			}
		}
	}
	closed := filepath.Join(open(t), "closed")
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	if said, err := asStranger(t, "tap "+serve(t, closed, "gw-7", "/s").Path).Output(); err != nil ||
		!strings.Contains(string(said), "may not look into "+closed) {
		t.Errorf("%s%v", said, err)
	}
}

// A user's program that took the port of the page is not believed to be the agent, not even when it hides.
func TestStrangerOnTCPIsNotBelieved(t *testing.T) {
	for _, what := range []string{"page", "page hangs up"} {
		cmd := asStranger(t, what)
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		addr, err := bufio.NewReader(out).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		w := Where{Listen: strings.TrimSpace(addr), StateDir: "/var/lib", Say: func(text string) { t.Logf("said: %s", text) }}
		if s, err := w.Status(t.Context()); err == nil {
			t.Errorf("%s: believed: %+v", what, s)
		} else if what == "page" && !strings.Contains(err.Error(),
			"belongs to user nobody, who is neither root, you nor the agent's user") {
			t.Errorf("%s: %v", what, err)
		}
		_ = in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}
