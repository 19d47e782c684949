package hostile

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// largeNames are what an agent may find as large as that, in its state directory or beside it, and how each begins when it is
// ours.
func largeNames() map[string]string {
	all := map[string]string{
		"linkbeat.yaml": "", // the configuration, which stands beside the state directory
		"password":      "secret\n",
		"ca.pem":        "-----BEGIN CERTIFICATE-----\n",
	}
	names := strings.NewReplacer("spool/*/*", "spool/data/meta", "spool/*", "spool/data", "????????????????", "00000000ffffffff",
		"*", "paths.json")
	for _, f := range stateFiles() {
		all[names.Replace(f.name)] = f.begin
	}
	return all
}

// largest is the size of a state file that a stranger, or a broken disk, has made.
const largest = 300_000_000

// largeFiles starts the agent on each of them. What is no part of the state directory ends the start with a sentence, or not.
func (l lab) largeFiles() error {
	broker, err := l.Broker(kit.BrokerOptions{})
	if err != nil {
		return err
	}
	var jobs []func() error
	for name, begin := range largeNames() {
		if !l.o.Full && !strings.HasSuffix(name, ".json") && name != "commands.journal" {
			continue
		}
		jobs = append(jobs, func() error { return l.largeFile(broker, name, begin) })
	}
	return kit.SideBySide(3, jobs)
}

func (l lab) largeFile(b *kit.Broker, name, begin string) error {
	id := "gw-large-" + strings.NewReplacer("/", "-", ".", "-").Replace(name)
	doc := kit.NewDoc(id, b.URL())
	a, err := l.Agent(kit.AgentOptions{Argv: []string{l.agent}, Doc: doc})
	if err != nil {
		return err
	}
	path := filepath.Join(a.Dir, "state", name)
	outside := map[string]string{"linkbeat.yaml": "", "password": "uplink.password_file", "ca.pem": "uplink.tls.ca_file"}
	key, isOutside := outside[name]
	if isOutside {
		path = filepath.Join(a.Dir, name)
		if key != "" {
			if err := a.Configure(doc.Set(key, path).Set("uplink.username", "u")); err != nil {
				return err
			}
		} else if b, err := os.ReadFile(path); err == nil {
			begin = string(b) + "#"
		}
	}
	if err := large(path, begin); err != nil {
		return err
	}
	if err := a.Start(); err != nil {
		return err
	}
	up := make(chan error, 1)
	go func() { up <- a.WaitUp(5 * time.Second) }()
	most := 0.0
	for waiting := true; waiting; {
		select {
		case err = <-up:
			waiting = false
		default:
			most = max(most, watch(l.Env, a.Proc(), 50*time.Millisecond))
		}
	}
	most = max(most, watch(l.Env, a.Proc(), 300*time.Millisecond))
	l.t.AtMost(name+" of 300 MB: peak memory of the agent", most, agentMost, "MiB")
	if !isOutside {
		l.t.Check(name+" of 300 MB: the agent comes up", err)
	}
	a.Kill()
	if err := large(path, begin); err != nil { // it may have been set aside
		return err
	}
	p, err := l.StartProc(id+"-diag", "", nil, l.agent, "diag", "-c", a.ConfigPath, "--bundle", filepath.Join(a.Dir, "b.tar.gz"))
	if err != nil {
		return err
	}
	most = watch(l.Env, p, ctlEnds)
	l.t.AtMost(name+" of 300 MB: peak memory of diag --bundle", most, agentMost, "MiB")
	l.t.Check(name+" of 300 MB: diag --bundle ends", ended(p, ctlEnds))
	p.Kill()
	return os.RemoveAll(filepath.Dir(path))
}

// large makes a file that begins as it should and is 300 MB of valid characters long: on most disks it takes no room.
func large(path, begin string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	block := []byte(strings.Repeat("a", 1<<20))
	if _, err := f.WriteString(begin); err != nil {
		return err
	}
	for range largest>>20 + 1 {
		if _, err := f.Write(block); err != nil {
			return fmt.Errorf("300 MB in %s: %w", path, err)
		}
	}
	return nil
}
