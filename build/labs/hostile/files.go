package hostile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// files puts what a stranger may have put where a bundle or a state file should go.
func (l lab) files() error {
	broker, err := l.Broker(kit.BrokerOptions{})
	if err != nil {
		return err
	}
	var jobs []func() error
	for _, kind := range []string{"symlink", "symlink that dangles", "foreign file", "FIFO", "directory"} {
		jobs = append(jobs, func() error { return errors.Join(l.bundleOver(broker, kind), l.stateOver(broker, kind)) })
	}
	return kit.SideBySide(5, jobs)
}

const untouched = "somebody else's words\n"

// foreigner is a user who owns what stands in the way.
const foreigner = 65534

// put makes what stands in the way, and returns what must stay as it is; whole reports whether it did.
func put(dir, at, kind string) (whole func() error, err error) {
	target := filepath.Join(dir, "target-of-"+filepath.Base(at))
	if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
		return nil, err
	}
	_ = os.RemoveAll(at)
	keep := func(path string) func() error {
		return func() error {
			if b, err := os.ReadFile(path); err != nil || string(b) != untouched {
				return fmt.Errorf("%s now holds %d bytes, %v", filepath.Base(path), len(b), err)
			}
			return nil
		}
	}
	switch kind {
	case "symlink":
		if err := os.WriteFile(target, []byte(untouched), 0o644); err != nil {
			return nil, err
		}
		return keep(target), os.Symlink(target, at)
	case "symlink that dangles":
		return func() error {
			if _, err := os.Lstat(target); err == nil {
				return errors.New("the link's target was made")
			}
			return nil
		}, os.Symlink(target, at)
	case "foreign file":
		if err := os.WriteFile(at, []byte(untouched), 0o644); err != nil {
			return nil, err
		}
		return func() error { return kept(filepath.Dir(at)) }, os.Chown(at, foreigner, foreigner)
	case "FIFO":
		return func() error {
			if info, err := os.Lstat(at); err != nil || info.Mode()&os.ModeNamedPipe == 0 {
				return fmt.Errorf("the FIFO is gone: %v", err)
			}
			return nil
		}, syscall.Mkfifo(at, 0o666)
	}
	return func() error { return nil }, os.MkdirAll(filepath.Join(at, "full"), 0o700)
}

// kept reports whether somebody else's words are still in a folder, under whatever name: to set a file aside is not to touch it.
func kept(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		if b, err := os.ReadFile(filepath.Join(dir, e.Name())); err == nil && string(b) == untouched {
			return nil
		}
	}
	return errors.New("it is gone, and so is what it said")
}

// bundleOver writes a bundle, as root, where something stands that is not root's.
func (l lab) bundleOver(b *kit.Broker, kind string) error {
	a, err := l.Agent(kit.AgentOptions{Argv: []string{l.agent}, Doc: kit.NewDoc("gw-bundle", b.URL())})
	if err != nil {
		return err
	}
	at := filepath.Join(a.Dir, "bundle.tar.gz")
	whole, err := put(a.Dir, at, kind)
	if err != nil {
		return err
	}
	p, err := l.StartProc("bundle-"+strings.ReplaceAll(kind, " ", "-"), "", nil, l.agent, "diag", "-c", a.ConfigPath,
		"--bundle", at)
	if err != nil {
		return err
	}
	code, endErr := p.Exit(20 * time.Second)
	if endErr == nil && code == 0 {
		endErr = errors.New("exit code 0: nobody was told")
	}
	l.t.Check("a "+kind+" where a bundle should go: refused", endErr)
	l.t.Check("a "+kind+" where a bundle should go: untouched", whole())
	return nil
}

// inTheWay are the state files at which something else is put.
func inTheWay(full bool) (names []string) {
	short := []string{"ledger.json", "paths.json", "commands.journal"}
	if !full {
		return short
	}
	samples := strings.NewReplacer("spool/*", "spool/data", "????????????????", "0000000000000001")
	for _, f := range stateFiles() {
		if f.says != "" && f.name != "identity" { // which only an id with {mac6} reads
			names = append(names, samples.Replace(f.name))
		}
	}
	return append(names, "lock", "spool/spool.lock")
}

// stateOver starts an agent on each state file of which a stranger has made something else.
func (l lab) stateOver(b *kit.Broker, kind string) error {
	names := inTheWay(l.o.Full)
	s, err := l.Site(kit.SiteOptions{ID: "gw-state-" + strings.ReplaceAll(kind, " ", ""), Devices: []string{"meter"},
		Argv: []string{l.agent}, Doc: func(d kit.Doc) {
			d.Set("spool.write_after", "0s").Set("spool.sync", "always")
			d["serial"].(map[string]any)["meter"].(map[string]any)["commands"] = true
		}})
	if err != nil {
		return err
	}
	_ = b
	touched, first := 0, ""
	var unsaid []string
	for _, name := range names {
		state := filepath.Join(s.Agent.Dir, "state")
		whole, err := put(s.Agent.Dir, filepath.Join(state, name), kind)
		if err != nil {
			return err
		}
		if err := s.Agent.StartUp(); err != nil {
			l.t.Check(fmt.Sprintf("a %s for %s: the agent comes up", kind, name), err)
			s.Agent.Kill()
			_ = os.RemoveAll(state)
			continue
		}
		if _, err := s.Ttys["meter"].Write([]byte("frame\n")); err != nil {
			return err
		}
		_, _, cmdErr := s.Command("meter", "write", map[string]any{"text": "X"})
		st, _ := s.Agent.Status()
		if err := s.Agent.Term(); err != nil {
			return err
		}
		if err := whole(); err != nil {
			touched++
			first = fmt.Sprintf("%s: %v", name, err)
		}
		if base := filepath.Base(name); kind != "foreign file" { // which is set aside, or taken where it is only read
			if !strings.Contains(why(st), base) {
				unsaid = append(unsaid, name+": why "+why(st))
			}
			if !strings.Contains(s.Agent.Proc().Tail(200), base) {
				unsaid = append(unsaid, name+": the log")
			}
		}
		l.Logf("%s at %s: why %q, command %v", kind, name, why(st), cmdErr)
		_ = os.RemoveAll(state)
	}
	l.t.Exactly(fmt.Sprintf("a %s where a state file should go: targets touched, of %d", kind, len(names)), touched, 0, "", first)
	l.t.Exactly(fmt.Sprintf("a %s where a state file should go: not said in why and the log, of %d", kind, len(names)),
		len(unsaid), 0,
		"", strings.Join(unsaid, "\n"))
	return nil
}

func why(s *kit.Status) string {
	if s == nil {
		return "(no status)"
	}
	return s.Why
}
