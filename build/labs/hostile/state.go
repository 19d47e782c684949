package hostile

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// stateFile is what an agent writes into its state directory.
type stateFile struct {
	name  string // as path.Match has it
	begin string // how one that is too large begins
	says  string // what why and the log both say where it was damaged; empty: nothing is, because of
	quiet string // which is shown: why stays empty, and all frames arrive
	other bool   // no run of this laboratory writes it; it is put there
}

// stateFiles are all of them: a file that a run left and that is not here fails.
func stateFiles() []stateFile {
	const (
		spool  = "found damaged at the start"
		pid    = "it holds only the number of a process, and is written anew at each start"
		aside  = "nobody reads it: it was set aside for a person"
		unsafe = "it was never whole, and is thrown away"
	)
	return []stateFile{
		{name: "commands.journal", begin: `{"id":"`, says: "the command journal is damaged"},
		{name: "commands.seen", begin: `{"taken":`, says: "commands.seen"},
		{name: "identity", begin: "mac6 ", says: "identity"},
		{name: "ledger.json", begin: `{"layout":1,"months":{"x":"`, says: "data ledger could not be read"},
		{name: "paths.json", begin: `{"layout":1,"paths":[{"path":"`, says: "what was learnt about paths could not be read"},
		{name: "spool/*/meta", begin: "00000000 {", says: spool},
		{name: "spool/*/cursor", begin: "\x00\x00\x00\x00", says: spool},
		{name: "spool/*/????????????????.seg", begin: "LB", says: spool},
		{name: "config.good.yaml", begin: "device: {id: x} #", quiet: "the document that runs is written there again"},
		{name: "spool/*/reserve", begin: "\x00", quiet: "it holds nothing but room"},
		{name: "lock", quiet: pid},
		{name: "spool/spool.lock", quiet: pid},
		{name: "*.corrupt", begin: "{", quiet: aside, other: true},
		{name: "*.tmp", begin: "{", quiet: unsafe, other: true},
		{name: "spool/*/*.new", begin: "{", quiet: unsafe, other: true},
		{name: "quarantine.ndjson", begin: `{"at":1}` + "\n", quiet: aside, other: true},
		{name: "quarantine.old.ndjson", begin: `{"at":1}` + "\n", quiet: aside, other: true},
	}
}

// stateFileOf is the row of a file by its path below the state directory; nil: there is none.
func stateFileOf(name string) *stateFile {
	for _, f := range stateFiles() {
		if ok, err := path.Match(f.name, name); ok && err == nil {
			return &f
		}
	}
	return nil
}

// damages are what may have happened to a file.
func damages() map[string]func(at, begin string) error {
	change := func(to func([]byte) []byte) func(string, string) error {
		return func(at, _ string) error {
			b, err := os.ReadFile(at)
			if err != nil {
				return err
			}
			return os.WriteFile(at, to(b), 0o600)
		}
	}
	return map[string]func(at, begin string) error{
		"emptied": change(func([]byte) []byte { return nil }),
		"garbled": change(func(b []byte) []byte {
			for i := range b {
				b[i] ^= byte(0x55 + i*7)
			}
			return append(b, "\x1b[2Jgarbage"...)
		}),
		// Of a journal the last line may be torn by a kill, which costs an answer and is no damage; of what is written in place
		// the end holds nothing.
		"torn": change(func(b []byte) []byte {
			if bytes.Contains(b, make([]byte, 20)) {
				return b[:10]
			}
			return b[:len(b)/3]
		}),
		"300 MB": func(at, begin string) error {
			if err := os.WriteFile(at, []byte(begin+"aaaa"), 0o600); err != nil {
				return err
			}
			return os.Truncate(at, largest)
		},
	}
}

// seed is a state directory as a run leaves it.
type seed struct {
	dir   string
	names []string // of its files
	said  int      // frames that it owes
	id    string
}

// stateDoc is of an agent that writes every file that there is.
func stateDoc(d kit.Doc) {
	d.Set("device.id", "gw-state-{mac6}").Set("spool.write_after", "0s").Set("spool.sync", "always").
		Set("heartbeat.learn", "fast")
	for _, name := range []string{"meter", "plain"} {
		if device, ok := d["serial"].(map[string]any)[name].(map[string]any); ok {
			device["commands"] = true
			if name == "meter" {
				device["priority"] = "high"
			}
		}
	}
}

// statePart shows that damage of every state file is said, in why and in the log, and that a healthy start says nothing.
func (l lab) statePart() error {
	s, err := l.seed()
	if err != nil {
		return err
	}
	var sum stateSum
	jobs := []func() error{func() error { return l.damaged(s, "", "", &sum) }}
	for _, name := range s.names {
		f := stateFileOf(name)
		if f == nil || !l.o.Full && f.says == "" {
			continue
		}
		for how := range damages() {
			if l.o.Full || how == "emptied" && (strings.HasPrefix(name, "spool/data") || !strings.HasPrefix(name, "spool/")) {
				jobs = append(jobs, func() error { return l.damaged(s, name, how, &sum) })
			}
		}
	}
	if err := kit.SideBySide(6, jobs); err != nil {
		return err
	}
	slices.Sort(sum.unknown)
	sum.unknown = slices.Compact(sum.unknown)
	l.t.Exactly("state files that runs left and no row of the table knows", len(sum.unknown), 0, "", strings.Join(sum.unknown,
		" "))
	var never []string
	for _, f := range stateFiles() {
		there := slices.ContainsFunc(s.names, func(name string) bool { ok, _ := path.Match(f.name, name); return ok })
		if !there {
			never = append(never, f.name)
		}
	}
	l.t.Exactly("rows of the table of which no run has a file", len(never), 0, fmt.Sprint("of ", len(stateFiles())),
		strings.Join(never, " "))
	l.t.Exactly("state files damaged: agents that did not come up", len(sum.down), 0, fmt.Sprint("of ", sum.n),
		strings.Join(sum.down, "\n"))
	l.t.Exactly("state files damaged, of which something is lost: why does not say it", len(sum.why), 0, fmt.Sprint("of ",
		sum.loud),
		strings.Join(sum.why, "\n"))
	l.t.Exactly("state files damaged, of which something is lost: the log does not say it", len(sum.log), 0,
		fmt.Sprint("of ", sum.loud), strings.Join(sum.log, "\n"))
	l.t.Exactly("state files damaged, of which nothing is lost: why is not empty, or frames are missing", len(sum.noisy), 0,
		fmt.Sprint("of ", sum.quiet), strings.Join(sum.noisy, "\n"))
	l.t.Exactly("state files whole: sentences about damage in why or the log", len(sum.healthy), 0,
		fmt.Sprint("of ", len(stateFiles())), strings.Join(sum.healthy, "\n"))
	l.t.AtMost("state files damaged: peak memory of the agent", sum.most, agentMost, "MiB")
	return nil
}

type stateSum struct {
	mu                                      sync.Mutex
	n, loud, quiet                          int
	most                                    float64
	down, why, log, noisy, healthy, unknown []string
}

// seed runs an agent that has carried out commands, and owes frames of both priorities when it ends.
func (l lab) seed() (*seed, error) {
	site, err := l.Site(kit.SiteOptions{ID: "gw-state", Devices: []string{"meter", "plain"}, Argv: []string{l.agent},
		Doc: stateDoc})
	if err != nil {
		return nil, err
	}
	if err := site.Agent.StartUp(); err != nil {
		return nil, err
	}
	var st struct {
		ID       string `json:"id"`
		Commands struct {
			Done int `json:"done"`
		} `json:"commands"`
	}
	if err := site.Agent.StatusInto(&st); err != nil {
		return nil, err
	}
	for i := range 5 {
		c := fmt.Sprintf(`{"id":"seed-%d","expires":%d,"text":"x"}`, i, time.Now().Add(time.Hour).UnixMilli())
		if err := site.Books.Publish(l.Ctx, "lb/"+st.ID+"/dn/cmd/meter/write", false, c); err != nil {
			return nil, err
		}
	}
	s := &seed{dir: filepath.Join(site.Agent.Dir, "state"), id: st.ID}
	talk := func() error {
		for range 20 {
			for _, name := range []string{"meter", "plain"} {
				if _, err := fmt.Fprintf(site.Ttys[name], "%s %s\n", name, frameName(s.said)); err != nil {
					return err
				}
			}
			s.said++
			l.Sleep(10 * time.Millisecond)
		}
		return nil
	}
	if err := l.Until("the commands", 10*time.Second, func() bool {
		return site.Agent.StatusInto(&st) == nil && st.Commands.Done == 5
	}); err != nil {
		return nil, err
	}
	if err := talk(); err != nil {
		return nil, err
	}
	if err := site.Broker.Stop(); err != nil {
		return nil, err
	}
	s.said = 0
	if err := talk(); err != nil {
		return nil, err
	}
	l.Sleep(300 * time.Millisecond)
	if err := site.Agent.Term(); err != nil {
		return nil, err
	}
	for _, f := range stateFiles() {
		if f.other {
			name := strings.NewReplacer("spool/*/*", "spool/data/meta", "*", "ledger.json").Replace(f.name)
			if err := os.WriteFile(filepath.Join(s.dir, name), []byte(f.begin), 0o600); err != nil {
				return nil, err
			}
		}
	}
	s.names, err = below(s.dir)
	return s, err
}

// below lists the files below a directory.
func below(dir string) (names []string, err error) {
	err = filepath.WalkDir(dir, func(at string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			names = append(names, strings.TrimPrefix(at, dir+"/"))
		}
		return err
	})
	return names, err
}

// damaged starts an agent on a copy of the seed of which one file was damaged; without a name all is whole.
func (l lab) damaged(s *seed, name, how string, sum *stateSum) error {
	site, err := l.Site(kit.SiteOptions{ID: strings.NewReplacer("/", "-", ".", "-", " ",
		"").Replace("gw-state-" + how + "-" + name),
		Devices: []string{"meter", "plain"}, Argv: []string{l.agent}, Doc: stateDoc})
	if err != nil {
		return err
	}
	defer site.Broker.Kill()
	if err := site.Books.Subscribe(l.Ctx, "lb/"+s.id+"/up/#"); err != nil {
		return err
	}
	state := filepath.Join(site.Agent.Dir, "state")
	if err := os.CopyFS(state, os.DirFS(s.dir)); err != nil {
		return err
	}
	what := "whole"
	if name != "" {
		what = name + " " + how
		if err := damages()[how](filepath.Join(state, name), stateFileOf(name).begin); err != nil {
			return err
		}
	}
	upErr := site.Agent.StartUp()
	got := map[string]bool{}
	var why string
	if upErr == nil {
		wait := 4 * time.Second
		if f := stateFileOf(name); f != nil && f.says != "" { // frames may be lost with it: nobody waits for them
			wait = 0
		}
		_ = l.Until("the frames", wait, func() bool {
			texts(site.Books.Arrivals("lb/"+s.id+"/up/data/meter", "lb/"+s.id+"/up/data/plain"), got)
			return owed(s, got) == 0
		})
		st, err := site.Agent.Status()
		if err != nil {
			return err
		}
		why = st.Why
	}
	most := peak(site.Agent.Proc().Pid())
	log, err := os.ReadFile(site.Agent.Proc().LogPath)
	if err != nil {
		return err
	}
	sum.note(what, stateFileOf(name), why, log, owed(s, got), upErr)
	sum.mu.Lock()
	sum.most = max(sum.most, most)
	sum.mu.Unlock()
	if upErr == nil {
		if err := site.Agent.Term(); err != nil {
			return err
		}
	}
	names, err := below(state)
	sum.mu.Lock()
	defer sum.mu.Unlock()
	for _, n := range names {
		if stateFileOf(n) == nil {
			sum.unknown = append(sum.unknown, n)
		}
	}
	return err
}

// owed is how many of the seed's frames have not arrived.
func owed(s *seed, got map[string]bool) (n int) {
	for i := range s.said {
		for _, name := range []string{"meter", "plain"} {
			if !got[name+" "+frameName(i)] {
				n++
			}
		}
	}
	return n
}

func (sum *stateSum) note(what string, f *stateFile, why string, log []byte, owed int, upErr error) {
	sum.mu.Lock()
	defer sum.mu.Unlock()
	sum.n++
	if upErr != nil {
		sum.down = append(sum.down, what+": "+upErr.Error())
		return
	}
	switch {
	case f == nil:
		for _, f := range stateFiles() {
			if f.says != "" && (strings.Contains(why, f.says) || bytes.Contains(log, []byte(f.says))) {
				sum.healthy = append(sum.healthy, fmt.Sprintf("%q", f.says))
			}
		}
		if why != "" || owed > 0 {
			sum.healthy = append(sum.healthy, fmt.Sprintf("why %q, %d frames missing", why, owed))
		}
	case f.says != "":
		sum.loud++
		if !strings.Contains(why, f.says) {
			sum.why = append(sum.why, fmt.Sprintf("%s: %q", what, why))
		}
		if !bytes.Contains(log, []byte(f.says)) {
			sum.log = append(sum.log, what)
		}
	default:
		sum.quiet++
		if why != "" || owed > 0 {
			sum.noisy = append(sum.noisy, fmt.Sprintf("%s: why %q, %d frames missing", what, why, owed))
		}
	}
}
