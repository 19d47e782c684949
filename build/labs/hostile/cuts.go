package hostile

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// What happens in the run that is recorded.
const (
	cutFrames   = 60
	cutCommands = 10 // so few that each is answered, whatever came of it: the first ten refusals of a session are
	cutSeed     = 7
	onItsWay    = 250 * time.Millisecond // from the broker to the subscriber, at most
)

// recorded is a run of the agent that was killed, step by step.
type recorded struct {
	steps    []step
	arrived  map[string]time.Time // frames, at the broker
	commands []string             // payloads, by number
	frozen   time.Time            // the broker, from then on
}

func frameName(i int) string { return fmt.Sprintf("frame %06d;", i) }

func doName(i int) string { return fmt.Sprintf("do-%06d;", i) }

// cutDoc is of an agent that promises most: what was accepted survives a power cut.
func cutDoc(d kit.Doc) {
	d.Set("spool.write_after", "0s").Set("spool.sync", "always").Set("uplink.window", 8)
	meter := d["serial"].(map[string]any)["meter"].(map[string]any)
	meter["commands"], meter["priority"] = true, "high" // of the others what is older than 30 s waits up to a minute more
}

// cuts records what a run writes, and restarts each prefix of it under each model of a disk.
func (l lab) cuts() error {
	r, err := l.record()
	if err != nil {
		return err
	}
	broker, err := l.Broker(kit.BrokerOptions{})
	if err != nil {
		return err
	}
	var prefixes []int
	for i, s := range r.steps {
		if !s.same {
			prefixes = append(prefixes, i+1)
		}
	}
	every := 1
	if l.o.Cuts > 0 {
		every = max(1, len(prefixes)/l.o.Cuts)
	}
	var jobs []func() error
	var sum restarts
	for i := every - 1; i < len(prefixes); i += every {
		for _, m := range models() {
			jobs = append(jobs, func() error { return l.restart(r, prefixes[i], m, broker, &sum) })
		}
	}
	if err := kit.SideBySide(12, jobs); err != nil {
		return err
	}
	l.t.Info("power cuts: changes of the disk, or words to the device, in the recorded run", float64(len(prefixes)), "")
	l.t.AtLeast("power cuts: restarts", float64(sum.n), float64(len(jobs)), "")
	l.t.Exactly("power cuts: synced frames lost", sum.lost, 0, fmt.Sprint("of ", sum.promised), sum.firstLost)
	l.t.Exactly("power cuts: commands carried out twice", sum.twice, 0, fmt.Sprint("of ", sum.n*cutCommands), sum.firstTwice)
	l.t.Exactly("power cuts: agents that did not come up", sum.down, 0, fmt.Sprint("of ", sum.n), sum.firstDown)
	l.t.Exactly("power cuts: commands without an answer", sum.mute, 0, fmt.Sprint("of ", sum.n*cutCommands), sum.firstMute)
	return nil
}

// record runs the agent under strace: frames and commands with a broker, then with one that is frozen, until a SIGKILL.
func (l lab) record() (*recorded, error) {
	trace := filepath.Join(l.Dir, "cuts.trace")
	s, err := l.Site(kit.SiteOptions{ID: "gw-cut", Devices: []string{"meter"}, Doc: cutDoc, Argv: []string{"strace", "-D",
		"-f", "-ttt",
		"-y", "-xx", "-s", "1048576", "-e", "trace=" + traced, "-e", "signal=none", "-o", trace, l.agent}})
	if err != nil {
		return nil, err
	}
	if err := s.Agent.StartUp(); err != nil {
		return nil, err
	}
	r := &recorded{arrived: map[string]time.Time{}}
	expires := time.Now().Add(time.Hour).UnixMilli()
	said := 0
	talk := func(to int) error {
		for ; said < to; said++ {
			if _, err := fmt.Fprintf(s.Ttys["meter"], "%s%0200d\n", frameName(said), said); err != nil {
				return err
			}
			l.Sleep(15 * time.Millisecond)
		}
		return nil
	}
	for i := range cutCommands {
		c := fmt.Sprintf(`{"id":"cut-%d","expires":%d,"text":"%s"}`, i, expires, doName(i))
		r.commands = append(r.commands, c)
		if err := s.Books.Publish(l.Ctx, s.Agent.Topic("dn/cmd/meter/write"), false, c); err != nil {
			return nil, err
		}
		if err := talk(said + cutFrames/2/cutCommands); err != nil {
			return nil, err
		}
	}
	carriedOut := func() bool {
		return strings.Contains(string(s.Ttys["meter"].Received()), doName(cutCommands-1))
	}
	if err := l.Until("the last command", 10*time.Second, carriedOut); err != nil {
		return nil, err
	}
	r.frozen = time.Now()
	if err := s.Broker.Freeze(); err != nil {
		return nil, err
	}
	if err := talk(cutFrames); err != nil {
		return nil, err
	}
	l.Sleep(500 * time.Millisecond)
	s.Agent.Kill()
	for _, a := range s.Books.Arrivals(s.Agent.Topic("up/data/meter")) {
		r.note(a)
	}
	if err := s.Broker.Thaw(); err != nil {
		return nil, err
	}
	if err := l.settled(trace); err != nil {
		return nil, err
	}
	calls, err := readTrace(trace)
	if err != nil {
		return nil, err
	}
	r.steps, err = steps(calls, filepath.Join(s.Agent.Dir, "state"))
	if err != nil {
		return nil, err
	}
	l.Logf("recorded %d calls, %d of them steps", len(calls), len(r.steps))
	return r, r.sane()
}

// settled waits until a file grows no more: strace writes on for a moment after the agent has ended.
func (l lab) settled(path string) error {
	var size int64
	return l.Until("the end of the trace", 10*time.Second, func() bool {
		l.Sleep(300 * time.Millisecond)
		info, err := os.Stat(path)
		if err != nil {
			return false
		}
		same := info.Size() == size
		size = info.Size()
		return same
	})
}

func (r *recorded) note(a kit.Arrival) {
	frames, err := a.Decode()
	if err != nil {
		return
	}
	for _, f := range frames {
		if f.Text != nil {
			if _, ok := r.arrived[(*f.Text)[:min(len(*f.Text), 13)]]; !ok {
				r.arrived[(*f.Text)[:min(len(*f.Text), 13)]] = a.At
			}
		}
	}
}

// sane makes sure that the record shows what it is for: all frames synced in the end, all commands said to the device.
func (r *recorded) sane() error {
	d := newDisk()
	said := ""
	for _, s := range r.steps {
		if s.do != nil {
			s.do(d)
		}
		said += s.says
	}
	all := string(d.synced())
	for i := range cutFrames {
		if _, ok := r.arrived[frameName(i)]; !ok && !strings.Contains(all, frameName(i)) {
			return fmt.Errorf("the record is of no use: %s neither arrived nor is in a synced file (%d bytes)", frameName(i),
				len(all))
		}
	}
	for i := range cutCommands {
		if strings.Count(said, doName(i)) != 1 {
			return fmt.Errorf("the record is of no use: %s was said %d times", doName(i), strings.Count(said, doName(i)))
		}
	}
	return nil
}

// restarts are the sums over all of them.
type restarts struct {
	mu                                          sync.Mutex
	n, promised, lost, twice, down, mute        int
	firstLost, firstTwice, firstDown, firstMute string
}

// restart starts an agent on the disk as it is after p steps under a model, says every command again, and counts.
func (l lab) restart(r *recorded, p int, m model, b *kit.Broker, sum *restarts) error {
	name := fmt.Sprintf("%s after step %d", m, p)
	d, said, at := newDisk(), "", time.Time{}
	for _, s := range r.steps[:p] {
		if s.do != nil {
			s.do(d)
		}
		said, at = said+s.says, s.at
	}
	promised := r.promised(d, at)
	id := fmt.Sprintf("gw-cut-%d-%s", p, strings.ReplaceAll(string(m), " ", ""))
	tty, err := l.Pty(id)
	if err != nil {
		return err
	}
	defer tty.Unplug()
	books, err := l.Collect(kit.CollectOptions{URL: b.URL(), ID: id + "-books", Filters: []string{"lb/" + id + "/up/#"}})
	if err != nil {
		return err
	}
	defer books.Close()
	doc := kit.NewDoc(id, b.URL()).Line("meter", tty.Port)
	cutDoc(doc)
	a, err := l.Agent(kit.AgentOptions{Argv: []string{l.agent}, Doc: doc})
	if err != nil {
		return err
	}
	defer os.RemoveAll(a.Dir)
	if err := d.restore(filepath.Join(a.Dir, "state"), m, rand.New(rand.NewPCG(cutSeed, uint64(p)))); err != nil {
		return err
	}
	upErr := a.StartUp()
	defer a.Kill()
	answered := map[string]bool{}
	arrived := &recorded{arrived: map[string]time.Time{}}
	if upErr == nil {
		for _, c := range r.commands {
			if err := books.Publish(l.Ctx, a.Topic("dn/cmd/meter/write"), false, c); err != nil {
				return err
			}
		}
		_ = l.Until(name, 5*time.Second, func() bool {
			for _, x := range books.Arrivals(a.Topic("up/reply/meter")) {
				var reply kit.Reply
				if json.Unmarshal(x.Payload, &reply) == nil {
					answered[reply.ID] = true
				}
			}
			for _, x := range books.Arrivals(a.Topic("up/data/meter")) {
				arrived.note(x)
			}
			return len(answered) == cutCommands && len(missing(promised, arrived)) == 0
		})
	}
	if lost := missing(promised, arrived); len(lost) > 0 && upErr == nil {
		st, _ := a.Status()
		l.Logf("%s (%s): %d of %d lost, from %s to %s; why %q", name, r.steps[p-1].what, len(lost), len(promised), lost[0],
			lost[len(lost)-1], why(st))
	}
	sum.add(name, promised, arrived, answered, said+string(tty.Received()), upErr)
	return nil
}

// promised are the frames that are on the disk for sure, and had not arrived at a time.
func (r *recorded) promised(d *disk, at time.Time) (promised []string) {
	synced := string(d.synced())
	for i := range cutFrames {
		// What the broker has acknowledged is on its way to the books for a moment.
		when, ok := r.arrived[frameName(i)]
		ok = ok && when.Before(at.Add(onItsWay)) && when.Before(r.frozen.Add(onItsWay))
		if strings.Contains(synced, frameName(i)) && !ok {
			promised = append(promised, frameName(i))
		}
	}
	return promised
}

func missing(promised []string, r *recorded) (lost []string) {
	for _, f := range promised {
		if _, ok := r.arrived[f]; !ok {
			lost = append(lost, f)
		}
	}
	return lost
}

func (sum *restarts) add(name string, promised []string, arrived *recorded, answered map[string]bool, said string, upErr error) {
	sum.mu.Lock()
	defer sum.mu.Unlock()
	first := func(s *string, what string) {
		if *s == "" {
			*s = name + ": " + what
		}
	}
	sum.n++
	sum.promised += len(promised)
	if upErr != nil {
		sum.down++
		first(&sum.firstDown, upErr.Error())
		return
	}
	if lost := missing(promised, arrived); len(lost) > 0 {
		sum.lost += len(lost)
		first(&sum.firstLost, strings.Join(lost, " "))
	}
	for i := range cutCommands {
		if strings.Count(said, doName(i)) > 1 {
			sum.twice++
			first(&sum.firstTwice, doName(i))
		}
	}
	if n := cutCommands - len(answered); n > 0 {
		sum.mute += n
		first(&sum.firstMute, fmt.Sprint(answered))
	}
}
