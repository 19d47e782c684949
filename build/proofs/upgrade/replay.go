package upgrade

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// replay has an agent go on with a recorded story, and tells what it did.
func (g *gateway) replay(from string) (t transcript, err error) {
	if g.door, err = newDoor(g.e, g.broker.Host()); err != nil {
		return t, err
	}
	if _, err := g.resume(from); err != nil {
		return t, err
	}
	known, err := knownEpochs(filepath.Join(from, stateDir))
	if err != nil {
		return t, err
	}
	if err := g.listen(); err != nil {
		return t, err
	}
	if err := g.start(false); err != nil {
		return t, err
	}
	if g.learns {
		if err := g.until("the path to be known", func(s status) bool {
			t.RememberedS = s.Heartbeat.RememberedS
			return t.RememberedS > 0
		}); err != nil {
			return t, err
		}
	}
	if err := errors.Join(g.arrives(), g.fence()); err != nil {
		return t, err
	}
	if err := g.goesOn(); err != nil {
		return t, err
	}
	if t.Twice, err = g.again(); err != nil {
		return t, err
	}
	if t.Status, err = g.settled(); err != nil {
		return t, err
	}
	if err := errors.Join(g.fence(), g.agent.Term()); err != nil {
		return t, err
	}
	t.Log = warned(g.agent.Proc().Tail(all))
	return t, t.told("lb/"+id+"/up/", g.books.Arrivals(), known)
}

// goesOn reads the units, which were silent until now so that what they say is behind the backlog, and then each device once.
func (g *gateway) goesOn() error {
	if err := g.turn(100); err != nil {
		return err
	}
	return errors.Join(g.arrives(), g.round("afterwards"), g.arrives())
}

// again sends every command of the stories once more, before and after one that is new. It counts those that reached a device.
func (g *gateway) again() (twice int, err error) {
	fresh := command{"plc", "write", "write-2", `"text":"set 6"`}
	for i := range 2 {
		for _, c := range []command{written(), asked(), unheard(), setting()} {
			known, err := g.known(c.id)
			if err != nil {
				return 0, err
			}
			if !known { // another story's
				continue
			}
			before := len(g.replies(c.device, c.id))
			if err := g.send(c); err != nil {
				return 0, err
			}
			if err := g.answered(c, before); err != nil {
				return 0, err
			}
		}
		if i > 0 {
			break
		}
		if err := g.send(fresh); err != nil {
			return 0, err
		}
		if err := g.answered(fresh, 0); err != nil {
			return 0, err
		}
	}
	if err := g.got("plc", "set 6\n"); err != nil {
		return 0, err
	}
	lines := bytes.Count(g.ttys["plc"].Received(), []byte("\n"))
	return lines - 1 + g.slaves["bus"].written(), g.arrives()
}

// known tells whether the journal has a command.
func (g *gateway) known(command string) (bool, error) {
	p, err := os.ReadFile(filepath.Join(g.agent.Dir, "state", "commands.journal"))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("journal: %w", err)
	}
	return bytes.Contains(p, []byte(`"`+command+`"`)), nil
}

// settled is the status when nothing is wrong, or what is wrong for good.
func (g *gateway) settled() (s status, err error) {
	_ = g.e.Until("nothing to be wrong", 10*time.Second, func() bool { // what is wrong then is told, and compared
		s, err = g.status()
		return err == nil && s.Why == ""
	})
	s.Heartbeat.Phase, s.Heartbeat.RememberedS = "", 0 // move on
	return s, err
}

// all lines of a log.
const all = 1 << 30

// knownEpochs are the epochs in a state directory, as the wire has them.
func knownEpochs(state string) (map[string]bool, error) {
	d := dumper{epochs: map[uint32]string{}}
	metas, err := filepath.Glob(filepath.Join(state, "spool", "*", "*"))
	for _, path := range metas {
		p, readErr := os.ReadFile(path)
		if readErr != nil {
			return nil, fmt.Errorf("epochs: %w", readErr)
		}
		switch {
		case filepath.Base(path) == "meta":
			_, err = d.meta(p)
		case strings.HasSuffix(path, ".seg"):
			_, err = d.segment(p, false)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	known := map[string]bool{}
	for e := range d.epochs {
		known[fmt.Sprintf("%08x", e)] = true
	}
	return known, err
}

// kept is nil when the agent that went on has left alone what it was to keep: the days of the ledger, what was learnt,
// and what is in quarantine.
func (g *gateway) kept(from string) error {
	var errs []error
	for _, name := range []string{"ledger.json", "paths.json", "quarantine.ndjson"} {
		was, err := os.ReadFile(filepath.Join(from, stateDir, name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		is, isErr := os.ReadFile(filepath.Join(g.agent.Dir, "state", name))
		if err = errors.Join(err, isErr); err != nil {
			return fmt.Errorf("kept: %w", err)
		}
		switch name {
		case "quarantine.ndjson":
			if !bytes.HasPrefix(is, was) {
				errs = append(errs, errors.New("the quarantine lost something"))
			}
		case "ledger.json":
			errs = append(errs, ledgerKept(was, is))
		case "paths.json":
			path := regexp.MustCompile(`"lo [^"]*BROKER"`)
			if to := g.site("").moved(is, nowhere()); !path.Match(to) {
				errs = append(errs, fmt.Errorf("the path is not in %s", to))
			}
		}
	}
	for _, name := range []string{"ledger.json.corrupt", "paths.json.corrupt"} {
		if _, err := os.Stat(filepath.Join(g.agent.Dir, "state", name)); err == nil {
			errs = append(errs, fmt.Errorf("%s: it was not understood", name))
		}
	}
	return errors.Join(errs...)
}

// ledgerKept is nil when every number of the old ledger is in the new one; only today's may have grown.
func ledgerKept(was, is []byte) error {
	type ledger struct {
		Days map[string]map[string]map[string]int64
	}
	var before, after ledger
	if err := errors.Join(json.Unmarshal(was, &before), json.Unmarshal(is, &after)); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	today := time.Now().UTC().Format(time.DateOnly)
	for day, ways := range before.Days {
		for way, causes := range ways {
			for cause, n := range causes {
				if m := after.Days[day][way][cause]; m < n || m > n && day != today {
					return fmt.Errorf("ledger: %s %s %s was %d and is %d", day, way, cause, n, m)
				}
			}
		}
	}
	return nil
}

// then has another agent go on where the first one ended: it reads what that left, sends nothing twice and loses nothing.
func (g *gateway) then(argv ...string) error {
	g.agent.Use(argv...)
	g.books.Forget()
	before := len(g.agent.Proc().Tail(all))
	if err := errors.Join(g.start(true), g.arrives(), g.round("one version back"), g.arrives(), g.fence()); err != nil {
		return err
	}
	s, err := g.settled()
	if err != nil {
		return err
	}
	if s.Why != "" || s.Config != "file" || s.Spool.Recovered+s.High.Recovered+s.Replies.Recovered != 0 {
		return fmt.Errorf("it says %+v", s)
	}
	byTopic := map[string]int{}
	for _, a := range g.books.Arrivals() {
		records, err := apart(a)
		if err != nil {
			return err
		}
		byTopic[a.Topic] += len(records)
	}
	for _, name := range ports() {
		topic := g.agent.Topic("up/data/" + name)
		if n := byTopic[topic] + byTopic[topic+"/gz"]; n != 1 {
			return fmt.Errorf("%d records of %s, want the one that it sent", n, name)
		}
	}
	log := warned(g.agent.Proc().Tail(all)[before:])
	if i := slices.IndexFunc(log, func(w string) bool { return strings.HasPrefix(w, "error") }); i >= 0 {
		return errors.New(log[i])
	}
	return g.agent.Term()
}
