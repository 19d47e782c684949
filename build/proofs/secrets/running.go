package secrets

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// soon bounds what takes no time; a machine may be busy.
const soon = 20 * time.Second

// running is an agent with one configuration.
type running struct {
	w     *world
	c     trial
	site  site
	doc   kit.Doc
	agent *kit.Agent
	wires []*wire // those of another machine
	local *wire
	seen  *seen
}

// try runs one configuration and looks.
func (w *world) try(c trial, s *seen) error {
	r := &running{w: w, c: c, seen: s}
	if err := r.prepare(); err != nil {
		return err
	}
	r.checked()
	if err := r.agent.Start(); err != nil {
		return err
	}
	if err := r.started(); err != nil {
		return err
	}
	if c.then != nil {
		if err := c.then(r); err != nil {
			s.note(&s.wrong, "%s: %v", c.name, err)
		}
	}
	r.w.e.Sleep(300 * time.Millisecond) // for what should not come
	for _, x := range r.wires {
		if got, _ := x.got(); holds(got) != c.asked {
			s.note(&s.path, "%s: seen on the path is %v, wanted %v: %q", c.name, holds(got), c.asked, got)
		}
	}
	r.look()
	return r.bundled()
}

// prepare makes the ports, the document and the agent.
func (r *running) prepare() error {
	dir, err := r.w.e.Sub("site")
	if err != nil {
		return err
	}
	clear, err := r.w.listen(elsewhere)
	if err != nil {
		return err
	}
	if r.local, err = r.w.listen("127.0.0.1"); err != nil {
		return err
	}
	r.wires = []*wire{clear}
	r.site = site{dir: dir, clear: clear.addr, local: r.local.addr, blocked: elsewhere + ":9"}
	r.doc = kit.NewDoc("gw-secrets")
	r.c.doc(r.site, r.doc)
	r.agent, err = r.w.e.Agent(kit.AgentOptions{Argv: []string{r.w.agent}, Netns: r.w.netns, Env: r.c.env, Doc: r.doc})
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, "state")); err == nil { // a state that the configuration came with
		if err := os.Rename(filepath.Join(dir, "state"), filepath.Join(r.agent.Dir, "state")); err != nil {
			return err
		}
	}
	return r.chmod()
}

// chmod gives the configuration the mode of the trial.
func (r *running) chmod() error {
	if r.c.mode == 0 {
		return nil
	}
	return os.Chmod(r.agent.ConfigPath, r.c.mode)
}

// started waits until the agent has tried each server that it can.
func (r *running) started() error {
	if err := r.w.e.Until("the page", soon, func() bool { _, err := r.agent.Status(); return err == nil }); err != nil {
		return fmt.Errorf("%w: %s", err, r.agent.Proc().Tail(5))
	}
	_ = r.w.e.Until("a connection", time.Second, func() bool { // not every configuration makes one
		_, there := r.wires[0].got()
		_, here := r.local.got()
		return there || here
	})
	if r.c.says == "" {
		return nil
	}
	err := r.w.e.Until("why to say "+r.c.says, soon, func() bool {
		s, err := r.agent.Status()
		return err == nil && strings.Contains(s.Why, "configuration: ") && strings.Contains(s.Why, r.c.says) &&
			strings.Contains(r.agent.Proc().Tail(1<<20), r.c.says)
	})
	if err != nil {
		s, _ := r.agent.Status()
		r.seen.note(&r.seen.wrong, "%s: %v: %+v", r.c.name, err, s)
	}
	return nil
}

// ask runs a linkbeat beside the agent, and returns what it says and its exit code.
func (r *running) ask(args ...string) (string, int) {
	return r.w.run("ask", r.c.env, append([]string{r.w.agent}, args...)...)
}

// run runs a program to its end.
func (w *world) run(name string, env []string, argv ...string) (string, int) {
	dir, err := w.e.Sub(name)
	if err != nil {
		return err.Error(), -1
	}
	p, err := w.e.StartProc(filepath.Base(dir), w.netns, env, argv...)
	if err != nil {
		return err.Error(), -1
	}
	code, err := p.Exit(time.Minute)
	if err != nil {
		return err.Error(), -1
	}
	return p.Tail(1 << 20), code
}

// checked wants linkbeat check to be of another opinion than the start.
func (r *running) checked() {
	said, code := r.ask("check", "-c", r.agent.ConfigPath)
	if code != r.c.check {
		r.seen.note(&r.seen.wrong, "%s: check ends with %d, wanted %d: %s", r.c.name, code, r.c.check, said)
	}
	if r.c.says == saysChmod && !strings.Contains(said, saysChmod) {
		r.seen.note(&r.seen.wrong, "%s: check: %v: %s", r.c.name, errNotSaid, said)
	}
	r.locally("check", said)
}

// locally notes what another user of the machine sees.
func (r *running) locally(where, text string) {
	if holds(text) && !r.c.named {
		at := strings.Index(text, word)
		r.seen.note(&r.seen.local, "%s: %s: …%.200s", r.c.name, where, text[max(0, at-80):])
	}
}

// look reads what other users of the machine can.
func (r *running) look() {
	r.locally("log", r.agent.Proc().Tail(1<<20))
	client := &http.Client{Timeout: soon, Transport: &http.Transport{DialContext: kit.Dialer(r.w.netns)}}
	defer client.CloseIdleConnections()
	for _, page := range []string{"/status", "/metrics"} {
		resp, err := client.Get("http://" + r.agent.HTTP + page)
		if err != nil {
			r.seen.note(&r.seen.wrong, "%s: %v", r.c.name, err)
			continue
		}
		p, _ := io.ReadAll(resp.Body) // what came serves
		_ = resp.Body.Close()
		r.locally(page, string(p))
	}
	if p, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", r.agent.Proc().Pid())); err == nil {
		r.locally("ps", string(p))
	}
	if p, err := os.ReadFile(filepath.Join(r.site.dir, "told")); err == nil {
		r.locally("environment of a hook", string(p))
	}
	for _, args := range [][]string{{"status"}, {"status", "--json"}} {
		said, _ := r.ask(append(args, "--listen", r.agent.HTTP)...)
		r.locally(strings.Join(args, " "), said)
	}
	topics, _ := r.wires[0].got()
	here, _ := r.local.got()
	if r.c.asked { // the CONNECT holds it, and what is published behind must not
		topics = ""
	}
	for _, said := range []string{topics, here} {
		if _, state, ok := strings.Cut(said, `{"online"`); ok {
			state, _, _ = strings.Cut(state, "}")
			r.locally("up/state", state)
		}
	}
}

// bundled looks into a bundle, and at what diag says.
func (r *running) bundled() error {
	name := filepath.Join(r.site.dir, "bundle.tar.gz")
	said, _ := r.ask("diag", "-c", r.agent.ConfigPath, "--json", "--bundle", name)
	r.locally("diag", said)
	p, err := os.ReadFile(name)
	if err != nil {
		return nil //nolint:nilerr // a document that cannot be booted has no diagnosis
	}
	files, err := unpacked(p)
	if err != nil {
		return err
	}
	for file, text := range files {
		if holds(text) && !r.c.named {
			at := strings.Index(text, word)
			r.seen.note(&r.seen.bundle, "%s: %s: …%.200s", r.c.name, file, text[max(0, at-80):])
		}
	}
	if len(files) < 5 {
		r.seen.note(&r.seen.wrong, "%s: a bundle of %d files", r.c.name, len(files))
	}
	return nil
}

func unpacked(p []byte) (map[string]string, error) {
	zipped, err := gzip.NewReader(bytes.NewReader(p))
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for packed := tar.NewReader(zipped); ; {
		h, err := packed.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(packed)
		if err != nil {
			return nil, err
		}
		files[filepath.Base(h.Name)] = string(body)
	}
}

// reload writes another document and wants why to say something, or that it is taken.
func (r *running) reload(d kit.Doc, says string) error {
	if err := r.agent.Configure(d); err != nil {
		return err
	}
	if err := r.agent.Reload(); err != nil {
		return err
	}
	if says == "" {
		return r.w.e.Until("the reload", soon, func() bool {
			return strings.Contains(r.agent.Proc().Tail(1<<20), "configuration changed")
		})
	}
	return r.w.e.Until("why to say "+says, soon, func() bool {
		s, err := r.agent.Status()
		return err == nil && strings.Contains(s.Why, says)
	})
}

// renamed wants what an earlier version learnt to be known under the name of today, and the old name gone from the disk.
func (r *running) renamed() error {
	return r.w.e.Until("paths.json without the token", 3*soon, func() bool {
		p, err := os.ReadFile(filepath.Join(r.agent.Dir, "state", "paths.json"))
		return err == nil && !holds(string(p)) && strings.Contains(string(p), "lo ws://"+r.local.addr+"/mqtt\"") &&
			strings.Contains(string(p), `"proven_s": 60`)
	})
}

// fallsBack breaks the file, and wants the last good document to run: with the login that it was given.
func (r *running) fallsBack() error {
	if err := r.agent.Term(); err != nil {
		return err
	}
	broken := fmt.Appendf(nil, "state_dir: %s\nuplink: [\n", filepath.Join(r.agent.Dir, "state"))
	if err := r.agent.ConfigureRaw(broken); err != nil {
		return err
	}
	if err := r.agent.Start(); err != nil {
		return err
	}
	return r.w.e.Until("the last good document", soon, func() bool {
		var s struct{ Config, Why string }
		return r.agent.StatusInto(&s) == nil && s.Config == "lastgood" && strings.Contains(s.Why, saysClear)
	})
}
