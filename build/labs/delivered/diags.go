package delivered

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// diags runs diag beside agents that are well, and beside such as are not.
func (l lab) diags() error {
	jobs := []func() error{
		func() error { return l.undisturbed() },
		func() error { return l.cloned() },
		func() error { return l.deadDevice() },
		func() error { return l.silentTopics() },
		func() error {
			return l.asks("a server that takes no lasting session", func(h hello) bool { return h.clean })
		},
		func() error {
			return l.asks("a server that closes at a retained will", func(h hello) bool { return !h.willRetain })
		},
	}
	for i, job := range jobs {
		jobs[i] = func() error {
			if err := job(); err != nil {
				l.t.Check(fmt.Sprintf("3 diag, situation %d", i), err)
			}
			return nil
		}
	}
	return kit.SideBySide(len(jobs), jobs)
}

// rulesOfItsOwn grant a gateway what linkbeatctl acl prints.
const rulesOfItsOwn = "user {id}\ntopic write lb/{id}/up/#\ntopic read lb/{id}/up/#\ntopic readwrite lb/{id}/dn/#\n"

// state is what a stranger sees of an agent at its broker, and on its page.
type state struct {
	retained string // of up/state
	since    int64
	drops    int64
	redials  int64
	connects int
	left     string // what else is retained at the broker under its topics
}

func (s *stand) state() (st state, err error) {
	status, err := s.agent.Status()
	if err != nil {
		return st, err
	}
	st = state{since: status.Uplink.Since, drops: status.Uplink.Drops, redials: status.Uplink.Redials,
		connects: s.broker.Connects(s.id)}
	c, err := s.Collect(kit.CollectOptions{URL: s.broker.URL(), ID: fmt.Sprintf("%s-look-%d", s.id, s.ran.Add(1)), User: "books",
		Filters: []string{"lb/" + s.id + "/#"}})
	if err != nil {
		return st, err
	}
	s.Sleep(300 * time.Millisecond)
	for _, a := range c.Arrivals() {
		switch {
		case !a.Retained:
		case strings.HasSuffix(a.Topic, "/up/state"):
			st.retained = string(a.Payload)
		case strings.HasSuffix(a.Topic, "/up/info"): // which changes by itself
		default:
			st.left += a.Topic + " "
		}
	}
	c.Close()
	return st, nil
}

// lasting reports whether the broker keeps a session for a client id, by asking for it.
func (s *stand) lasting(id string) (bool, error) {
	c, err := net.Dial("tcp", s.broker.Host())
	if err != nil {
		return false, err
	}
	defer c.Close()
	if _, err := c.Write(connect(id, false)); err != nil {
		return false, err
	}
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	p, err := readPacket(bufio.NewReader(c))
	if err != nil || p.kind() != kindConnAck || len(p.body) < 2 {
		return false, errors.New("no CONNACK")
	}
	if _, err = c.Write([]byte{0xe0, 0}); err != nil {
		return false, err
	}
	s.Sleep(100 * time.Millisecond)
	if c2, err := net.Dial("tcp", s.broker.Host()); err == nil { // and nothing of ours stays
		_, _ = c2.Write(append(connect(id, true), 0xe0, 0))
		s.Sleep(100 * time.Millisecond)
		_ = c2.Close()
	}
	return p.body[0]&1 > 0, nil
}

// undisturbed runs diag again and again beside an agent that is well.
func (l lab) undisturbed() error {
	const name = "3 diag beside an agent that is well"
	s, err := l.at("gw-diag", place{acl: rulesOfItsOwn})
	if s != nil {
		defer s.end()
	}
	if err != nil {
		return err
	}
	if err := s.start(); err != nil {
		return err
	}
	if err := s.agent.WaitUp(20 * time.Second); err != nil {
		return err
	}
	l.Sleep(3 * time.Second) // its own trials
	before, err := s.state()
	if err != nil {
		return err
	}
	bad, lines, longest, out := 0, 0, time.Duration(0), ""
	for range l.o.Diags {
		began := time.Now()
		text, code, err := s.command(time.Minute, "diag")
		if err != nil {
			return err
		}
		longest = max(longest, time.Since(began))
		if code != 0 {
			bad, out = bad+1, worst(text)
		}
		lines = max(lines, strings.Count(text, "\nok   topics ")+strings.Count(text, "\nok   echo "))
	}
	after, err := s.state()
	if err != nil {
		return err
	}
	l.t.Exactly(fmt.Sprintf("%s: exits of %d that were not 0", name, l.o.Diags), bad, 0, "", out)
	l.t.Check(name+": state, session and broker are as before", same(before, after))
	for _, id := range []string{s.id + "-p0"} {
		kept, err := s.lasting(id)
		if err == nil && kept {
			err = errors.New("the broker keeps a session of " + id)
		}
		l.t.Check(name+": no session of its own is left", err)
	}
	l.t.Exactly(name+": lines on topics that all agree", lines, 1, "", out)
	l.t.Within(name+": the longest took", longest.Seconds(), 4, "s")
	s.quiet()
	c, err := s.settle(20 * time.Second)
	if err != nil {
		return err
	}
	l.t.Exactly(name+": frames lost", c.missing(), 0, "", c.String())
	l.t.Exactly(name+": frames twice", c.twice, 0, "", c.String())
	return nil
}

func same(before, after state) error {
	if before != after {
		return fmt.Errorf("before %+v, after %+v", before, after)
	}
	return nil
}

// beside starts a stand, lets it be troubled until `why` speaks of it, and judges diag.
func (l lab) beside(name, before string, s *stand, says string) error {
	began := time.Now()
	if err := s.start(); err != nil {
		return err
	}
	l.wait(mostWhy, func() bool { // whether it came is a row
		text, _ := s.seen.first(says, began)
		return text != ""
	})
	text, after := s.seen.first(says, began)
	out, code, err := s.command(time.Minute, "diag")
	if err != nil {
		return err
	}
	if before == "" {
		before = "an example of our own"
	} else {
		before = "before: " + before
	}
	l.t.Exactly("3 "+name+": diag exits", code, 1, "", fmt.Sprintf("%s; now: `why` after %.1f s: %q; %s", before,
		after.Seconds(), text, worst(out)))
	l.t.Check("3 "+name+": why says it", said(text, says, s.seen))
	return nil
}

// cloned is a gateway whose id another one has.
func (l lab) cloned() error {
	s, err := l.at("gw-clone", place{})
	if s != nil {
		defer s.end()
	}
	if err != nil {
		return err
	}
	tty, err := l.Pty("gw-clone-twin")
	if err != nil {
		return err
	}
	twin := kit.NewDoc(s.id, s.broker.URL()).Line("meter", tty.Port).Set("uplink.detect_within", "60s").
		Set("heartbeat.interval", "20s")
	other, err := l.Agent(kit.AgentOptions{Argv: []string{l.agent}, Doc: twin})
	if err != nil {
		return err
	}
	if err := other.Start(); err != nil {
		return err
	}
	defer other.Kill()
	return l.beside("a cloned id", "diag was green, and ended in exit 0", s, saysAnother)
}

// deadDevice is a gateway of which one device is not there.
func (l lab) deadDevice() error {
	s, err := l.at("gw-dead", place{doc: func(d kit.Doc) { d.Line("boiler", "/dev/linkbeat-lab-nothing") }})
	if s != nil {
		defer s.end()
	}
	if err != nil {
		return err
	}
	return l.beside("a dead device", "diag was green, and ended in exit 0", s, "boiler")
}

// silentTopics is a server without MQTT 5 that throws all topics away: diag waits for them side by side.
func (l lab) silentTopics() error {
	s, err := l.at("gw-mute", place{front: &front{old: true, publish: func(_ hello, p pub) deed {
		if strings.Contains(p.topic, "/up/") {
			return swallow
		}
		return pass
	}}})
	if s != nil {
		defer s.end()
	}
	if err != nil {
		return err
	}
	if err := s.start(); err != nil {
		return err
	}
	if err := s.agent.WaitUp(20 * time.Second); err != nil {
		return err
	}
	began := time.Now()
	out, _, err := s.command(time.Minute, "diag")
	if err != nil {
		return err
	}
	took := time.Since(began)
	l.t.Within("3 topics that are thrown away without a word: diag took", took.Seconds(), 4, "s")
	l.t.Say("3: before, five silent topics took diag 10 s, one after the other. Now it printed %d lines.",
		strings.Count(out, "\n"))
	return nil
}

// asks is a server that does not take what run asks for: diag asks for it too.
func (l lab) asks(name string, takes func(h hello) bool) error {
	f := &front{connect: takes}
	s, err := l.at("gw-asks-"+fmt.Sprint(len(name)), place{front: f})
	if s != nil {
		defer s.end()
	}
	if err != nil {
		return err
	}
	out, code, err := s.command(time.Minute, "diag") // of a gateway whose agent does not run yet
	if err != nil {
		return err
	}
	l.t.Exactly("3 "+name+", before the agent runs (our own): diag exits", code, 1, "", worst(out))
	return nil
}
