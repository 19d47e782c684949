package hostile

import (
	"bytes"
	"context"
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

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// children gives a document programs that last for as long as somebody looks at the process list. The mark, among their
// arguments, is how they are found there.
func children(doc kit.Doc, id string) (mark string) {
	mark = "child-of-" + id + "-"
	lasting := []any{"/bin/sh", "-c", "sleep 8; :", mark}
	doc.Set("hooks.up", lasting).Set("hooks.down", lasting)
	doc.Set("device.facts.eye", map[string]any{"command": lasting, "every": "1h"})
	return mark
}

// What a local user looks at, by the names under which localEyes has it.
const (
	eyeFiles, eyeProcess, eyeList        = "files", "cmdline and environ of the agent", "ps"
	eyeChildren, eyeChildrenOfOurs       = "cmdline and environ of its children", "environ of its children, as their own user"
	eyeLog, eyeAborted, eyeStatus, eyeUp = "the log", "the log after SIGQUIT", "linkbeat status", "linkbeat status --json"
)

func localPaths() []string {
	return []string{"/status", "/metrics", "/healthz", "/readyz", "/", "/tap/meter", "/debug/pprof/cmdline"}
}

// eyeCheck prints the document as it runs.
const eyeCheck = "check -v"

// localPlaces are all of them: one at which there never was anything shows nothing.
func localPlaces() []string {
	return append(localPaths(), eyeFiles, eyeProcess, eyeList, eyeChildren, eyeChildrenOfOurs, eyeLog, eyeAborted, eyeStatus,
		eyeUp)
}

// localEyes are what any user of the gateway can read: the page, the process list, files that are not protected; and the log,
// which goes wherever a gateway's logs go. The agent has ended after it: its last word is what it says when it is made to dump.
func (l lab) localEyes(p *place, a *kit.Agent, mark string) map[string][]byte {
	eyes := map[string][]byte{}
	as := func(name string, argv ...string) {
		argv = append([]string{"ip", "netns", "exec", p.netns, "setpriv", "--reuid", fmt.Sprint(foreigner), "--regid",
			fmt.Sprint(foreigner), "--clear-groups"}, argv...)
		eyes[name], _ = exec.CommandContext(l.Ctx, argv[0], argv[1:]...).CombinedOutput()
	}
	c := http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DialContext: kit.Dialer(p.netns),
		DisableKeepAlives: true}}
	for _, path := range localPaths() {
		r, err := c.Get("http://" + a.HTTP + path)
		if err != nil {
			continue
		}
		eyes[path], _ = io.ReadAll(io.LimitReader(r.Body, 1<<20))
		_ = r.Body.Close()
	}
	_ = os.Chmod(l.Dir, 0o755) // the scratch folder stands for /etc and /var: what is in it protects itself
	_ = os.Chmod(a.Dir, 0o755)
	as(eyeStatus, l.agent, "status", "--listen", a.HTTP)
	as(eyeUp, l.agent, "status", "--json", "--listen", a.HTTP)
	pid := a.Proc().Pid()
	as(eyeProcess, "sh", "-c", fmt.Sprintf("tr '\\0' ' ' < /proc/%d/cmdline; cat /proc/%d/environ /proc/%d/mem", pid, pid, pid))
	as(eyeList, "sh", "-c", "ps axeww -o pid,args || ps")
	eyes[eyeChildren], eyes[eyeChildrenOfOurs] = nil, nil
	for _, child := range childrenOf(mark) {
		name := eyeChildren
		had := eyes[name]
		as(name, "sh", "-c", fmt.Sprintf("tr '\\0' ' ' < /proc/%[1]d/cmdline; cat /proc/%[1]d/environ", child))
		eyes[name] = append(had, eyes[name]...)
		env, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", child)) // of ours it gets nothing: it may tell anybody what it has
		eyes[eyeChildrenOfOurs] = append(eyes[eyeChildrenOfOurs], env...)
	}
	eyes[eyeLog], _ = os.ReadFile(a.Proc().LogPath)
	if a.Proc().Signal(syscall.SIGQUIT) == nil { // what a watchdog does to an agent that hangs
		_, _ = a.Proc().Exit(5 * time.Second)
	}
	eyes[eyeAborted], _ = os.ReadFile(a.Proc().LogPath)
	as(eyeFiles, "sh", "-c", "cat $(find "+a.Dir+" -type f -readable 2>/dev/null) /dev/null; ls -lR "+a.Dir) // a core is one too
	return eyes
}

// childrenOf finds processes by a word among their arguments.
func childrenOf(mark string) (pids []int) {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range files {
		var pid int
		if b, err := os.ReadFile(f); err != nil || !bytes.Contains(b, []byte(mark)) {
			continue
		}
		if _, err := fmt.Sscanf(f, "/proc/%d/cmdline", &pid); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// bundleEyes are what an operator sends to somebody who may help: the bundle, and what the commands printed.
func (l lab) bundleEyes(p *place, a *kit.Agent, env []string) (packed []byte, said map[string][]byte) {
	said = map[string][]byte{}
	bundle := filepath.Join(a.Dir, "b.tar.gz")
	for _, words := range []string{"diag --bundle", "diag --json", eyeCheck, "check --online"} {
		argv := append([]string{"ip", "netns", "exec", p.netns, l.agent}, strings.Fields(words)...)
		if words == "diag --bundle" {
			argv = append(argv, bundle)
		} else if !l.o.Full && words != eyeCheck {
			continue
		}
		cmd := exec.CommandContext(l.Ctx, argv[0], append(argv[1:], "-c", a.ConfigPath)...)
		cmd.Env = append(os.Environ(), env...)
		said[words], _ = cmd.CombinedOutput()
	}
	c := http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: dialer(a.Socket())}}
	if r, err := c.Get("http://x/status"); err == nil {
		said["/status over the socket"], _ = io.ReadAll(io.LimitReader(r.Body, 1<<20))
		_ = r.Body.Close()
	}
	packed, _ = unpacked(bundle)
	return packed, said
}

func dialer(socket string) kit.DialFunc {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}
}
