package delivered

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
	"github.com/linkbeat/linkbeat/build/tools/size"
)

const (
	moreBytes   = 5.0             // percent that a reconnect or a failover may cost more than before step 8
	afterwards  = 3 * time.Second // what a session says of itself is said by then
	settledIn   = 5 * time.Second // so are the trials of topics, which are asked once
	measured    = 3               // times; the median counts, as now and then something else is due, or the will comes late
	tellTheSame = 1.0             // percent by which two measurements of one program differ
)

// bytes compares what a reconnect and a failover cost with what they cost before step 8.
func (l lab) bytes() error {
	budgets, err := size.ReadBudgets()
	if err != nil {
		return err
	}
	was := budgets.BeforeStep8
	l.t.Say("Bytes are those of both ways through a proxy, from the end of a session until %v after the next one is up, at a",
		afterwards)
	l.t.Say("server that was asked for its topics before; nothing else is sent then. Those of %.7s stand in build/budgets.json,",
		was.Commit)
	l.t.Say("and the full form measures it again.")
	reconnect, failover, first, err := l.costs("gw-bytes-1", l.agent)
	if err != nil {
		return err
	}
	l.compare("a failover to a server that was met before", failover, was.Failover)
	if l.o.Full { // it waits up to 20 s for its turn
		l.compare("a reconnect", reconnect, was.Reconnect)
	}
	l.t.Info("bytes of the first failover to a server, with the trials of its topics", float64(first), "bytes")
	if !l.o.Full {
		return nil
	}
	old, err := l.buildBefore(was.Commit)
	l.t.Check("bytes: the agent before step 8 can be built from git", err)
	if err != nil {
		return nil
	}
	reconnect, failover, first, err = l.costs("gw-bytes-0", old)
	if err != nil {
		return err
	}
	l.t.AtMost("bytes of a reconnect before step 8: off what is written down", off(reconnect, was.Reconnect), tellTheSame, "%")
	l.t.AtMost("bytes of a failover before step 8: off what is written down", off(failover, was.Failover), tellTheSame, "%")
	l.t.Info("bytes of the first failover to a server, before step 8", float64(first), "bytes")
	return nil
}

func off(is, was int64) float64 {
	if is < was {
		is, was = was, is
	}
	return 100 * float64(is-was) / max(1, float64(was))
}

func (l lab) compare(what string, is, was int64) {
	l.t.AtMost(fmt.Sprintf("bytes of %s, %d now and %d before", what, is, was), 100*float64(is-was)/max(1, float64(was)),
		moreBytes, "% more")
}

// buildBefore compiles the agent of a commit.
func (l lab) buildBefore(commit string) (string, error) {
	root, err := kit.Root()
	if err != nil {
		return "", err
	}
	if exec.CommandContext(l.Ctx, "git", "-C", root, "cat-file", "-e", commit+"^{commit}").Run() != nil {
		return "", fmt.Errorf("%.12s: %w", commit, errors.Join(kit.ErrNoHistory, errors.New("fetch all of the history")))
	}
	dir, err := l.Sub("before")
	if err != nil {
		return "", err
	}
	if err := kit.Unpack(l.Ctx, root, commit, dir); err != nil {
		return "", err
	}
	out := filepath.Join(l.Dir, "linkbeat-before")
	if err := (kit.Tree{Root: dir}).Build(l.Ctx, "cmd/linkbeat", out); err != nil {
		return "", err
	}
	return out, os.RemoveAll(dir)
}

// costs measures a program: what a reconnect costs, what a failover does to a server that was met before, and the first one.
func (l lab) costs(id, program string) (reconnect, failover, first int64, err error) {
	l.agent = program
	other := &front{}
	few := []device{{name: "meter", rate: 5, size: 60, stop: 10}}
	s, err := l.at(id, place{acl: rulesOfItsOwn, front: &front{}, devices: few})
	if s != nil {
		defer s.end()
	}
	if err != nil {
		return 0, 0, 0, err
	}
	if err := other.listen(l.Env, s.broker.Host()); err != nil {
		return 0, 0, 0, err
	}
	a := s.p.front
	s.doc.Set("uplink.servers", []any{map[string]any{"url": "mqtt://" + a.Addr}, map[string]any{"url": "mqtt://" + other.Addr}}).
		Set("heartbeat.interval", "60s").Set("heartbeat.min", "60s").Set("stats.every", "0s")
	if err := s.agent.Configure(s.doc); err != nil {
		return 0, 0, 0, err
	}
	if err := s.start(); err != nil {
		return 0, 0, 0, err
	}
	if err := s.agent.WaitUp(20 * time.Second); err != nil {
		return 0, 0, 0, err
	}
	l.Sleep(settledIn)
	fronts := []*front{a, other}
	var all []int64
	for i := range 1 + measured { // each from one server to the other: the first meets one that is new
		from, to := fronts[i%2], fronts[(i+1)%2]
		n, err := s.moved(from, to)
		if err != nil {
			return 0, 0, 0, err
		}
		if i == 0 {
			first = n
			l.Sleep(settledIn)
			continue
		}
		all = append(all, n)
	}
	failover = median(all)
	l.Logf("%s: bytes of failovers: %v, the first %d", id, all, first)
	if l.o.Full {
		reconnect, err = s.again(fronts)
	}
	return reconnect, failover, first, err
}

func median(all []int64) int64 {
	slices.Sort(all)
	return all[len(all)/2]
}

// moved ends a session at one server, and counts the bytes until the next one has said all of itself.
func (s *stand) moved(from, to *front) (int64, error) {
	before := to.up.Load() + from.up.Load()
	from.leave()
	err := s.Until("a session at the other server", 40*time.Second, func() bool {
		st, err := s.agent.Status()
		return err == nil && st.Uplink.State == "up" && st.Uplink.Server == "mqtt://"+to.Addr
	})
	if err != nil {
		return 0, err
	}
	s.Sleep(afterwards)
	n := to.up.Load() + from.up.Load() - before
	from.come()
	return n, nil
}

// again ends a session where no other server is, and counts until the next one.
func (s *stand) again(fronts []*front) (int64, error) {
	st, err := s.agent.Status()
	if err != nil {
		return 0, err
	}
	at := fronts[0]
	if st.Uplink.Server == "mqtt://"+fronts[1].Addr {
		at = fronts[1]
	}
	for _, f := range fronts {
		if f != at {
			f.leave()
		}
	}
	var all []int64
	for range measured {
		before, sessions := at.up.Load(), at.conns.Load()
		at.cut(s.id)
		err := s.Until("another session", 60*time.Second, func() bool {
			st, err := s.agent.Status()
			return err == nil && st.Uplink.State == "up" && at.conns.Load() > sessions
		})
		if err != nil {
			return 0, err
		}
		s.Sleep(afterwards)
		all = append(all, at.up.Load()-before)
	}
	s.Logf("%s: bytes of reconnects: %v", s.id, all)
	return median(all), nil
}
