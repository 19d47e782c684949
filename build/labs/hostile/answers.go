package hostile

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// The rule: of a session's refused commands the first ten are answered, and then six a minute. What was accepted always is.
const (
	refusalsFirst     = 10
	refusalsPerMinute = 6
	goodCommands      = 40
	roundsMost        = 20 // in each of which the operator's program gives again what was not answered
)

// refusedFlood is how many refused commands come a second; 0: as many as the connection takes, so that the gateway takes hardly
// any others, and an operator's program asks again with the same id.
type refusedFlood struct {
	name      string
	perSecond int
	speech    speech
}

func refusedFloods() []refusedFlood {
	return []refusedFlood{
		{"100 junk commands a second", 100, junkWithIDs},
		{"100 commands a second for devices that are not there", 100, strangeCommands},
		{"100 retained commands a second", 100, retainedForEver},
		{"junk commands as fast as they go", 0, junkWithIDs},
	}
}

// junkWithIDs are refused, and could each be answered.
func junkWithIDs(id string, write func([]byte) bool) {
	forever(write, func(n int) []byte {
		return publish("lb/"+id+"/dn/cmd/meter/write", fmt.Appendf(nil, `{"id":"junk-%d","expires":%d,"text":7}`, n, soon()),
			false,
			qos1(n))
	})
}

func retainedForEver(id string, write func([]byte) bool) {
	forever(write, func(n int) []byte {
		return publish("lb/"+id+"/dn/cmd/meter/write", fmt.Appendf(nil, `{"id":"kept-%d","expires":%d,"text":"x"}`, n, soon()),
			true,
			qos1(n))
	})
}

// paced writes what a speech says in one go piece by piece, so many packets a second.
func paced(e *kit.Env, s speech, perSecond int, said *atomic.Int64) speech {
	return func(id string, write func([]byte) bool) {
		s(id, func(p []byte) bool {
			said.Add(batch)
			ok := write(p)
			if perSecond > 0 {
				e.Sleep(time.Second * batch / time.Duration(perSecond))
			}
			return ok
		})
	}
}

// answers gives good commands in the middle of a flood of refused ones.
func (l lab) answers() error {
	broker, err := l.Broker(kit.BrokerOptions{})
	if err != nil {
		return err
	}
	var jobs []func() error
	for i, f := range refusedFloods() {
		if l.o.Full || i == 0 {
			jobs = append(jobs, func() error { return l.amidRefused(front{Broker: broker}, f, i) })
		}
	}
	return kit.SideBySide(2, jobs)
}

func (l lab) amidRefused(b front, f refusedFlood, i int) error {
	var said, quiet = &atomic.Int64{}, &atomic.Bool{}
	url, err := says(paced(l.Env, f.speech, f.perSecond, said))(l.Env, b, quiet)
	if err != nil {
		return err
	}
	s, err := l.besideBooks(b, url, fmt.Sprint("gw-answers-", i))
	if err != nil {
		return err
	}
	if err := s.agent.StartUp(); err != nil {
		return err
	}
	began := time.Now()
	replies := &answered{books: s.books, topics: "lb/" + s.id + "/up/reply/"}
	rounds, err := l.giveGood(s, replies)
	if err != nil {
		return err
	}
	lasted := time.Since(began)
	quiet.Store(true)
	l.Sleep(500 * time.Millisecond) // the last answers
	replies.read()
	name := "good commands amid " + f.name + ": "
	l.t.AtLeast(name+"refused commands, in sum", float64(said.Load()), 100, "")
	unanswered := goodCommands - len(replies.good)
	l.t.Exactly(name+"accepted and without an answer", l.silent(s, replies), 0, fmt.Sprint("of ", goodCommands), "")
	l.t.Exactly(name+"carried out twice", twice(s.tty), 0, fmt.Sprint("of ", goodCommands), "")
	l.t.Exactly(name+"not carried out in the end, or unanswered", unanswered, 0, fmt.Sprint("of ", goodCommands),
		replies.firstBad)
	if f.perSecond > 0 { // on a quiet machine none of them meets a full intake
		l.t.Within(name+"given so often until each was answered", float64(rounds), 1, "times")
	} else {
		l.t.AtMost(name+"given so often until each was answered", float64(rounds), roundsMost, "times")
	}
	// Refused good commands are refused ones too: the rule is for all of them together.
	l.t.AtLeast(name+"refused ones that were answered", float64(replies.refused), refusalsFirst, "")
	l.t.AtMost(name+"refused ones that were answered, of those the rule allows", float64(replies.refused),
		refusalsFirst+refusalsPerMinute*(lasted.Minutes()+1.0/refusalsPerMinute), "")
	l.t.AtMost(name+"peak memory of the agent", peak(s.agent.Proc().Pid()), agentMost, "MiB")
	return s.agent.Term()
}

// besideBooks is a gateway whose way to the broker leads past a stranger, with books at the broker itself.
func (l lab) besideBooks(b front, url, id string) (*meeting, error) {
	m := &meeting{id: id}
	var err error
	if m.tty, err = l.Pty(id); err != nil {
		return nil, err
	}
	if m.books, err = l.Collect(kit.CollectOptions{URL: b.URL(), ID: id + "-books",
		Filters: []string{"lb/" + id + "/up/#"}}); err != nil {
		return nil, err
	}
	doc := kit.NewDoc(id, url).Line("meter", m.tty.Port)
	meter := doc["serial"].(map[string]any)["meter"].(map[string]any)
	meter["commands"], meter["requests"] = true, map[string]any{"per_minute": 6000}
	m.agent, err = l.Agent(kit.AgentOptions{Argv: []string{l.agent}, Doc: doc})
	return m, err
}

// answered is what came back, by the ids of good commands.
type answered struct {
	books    *kit.Collector
	topics   string // their beginning
	seen     int
	good     map[string]bool // answered with ok
	refused  int             // answers to anything else, and to good ones that were not taken
	firstBad string
}

func (a *answered) read() {
	if a.good == nil {
		a.good = map[string]bool{}
	}
	all := a.books.Arrivals()
	for _, x := range all[a.seen:] {
		var r kit.Reply
		switch {
		case !strings.HasPrefix(x.Topic, a.topics) || json.Unmarshal(x.Payload, &r) != nil:
		case r.OK:
			a.good[r.ID] = true
		default:
			a.refused++
			if strings.HasPrefix(r.ID, "good-") && a.firstBad == "" {
				a.firstBad = string(x.Payload)
			}
		}
	}
	a.seen = len(all)
}

// giveGood gives the good commands one after the other, and again until each has its answer: the flood leaves no room for all.
func (l lab) giveGood(s *meeting, a *answered) (rounds int, err error) {
	expires := time.Now().Add(2 * time.Minute).UnixMilli()
	for rounds = 1; ; rounds++ {
		for i := range goodCommands {
			id := fmt.Sprintf("good-%03d", i)
			if a.read(); a.good[id] {
				continue
			}
			c := fmt.Sprintf(`{"id":"%s","expires":%d,"text":"%s"}`, id, expires, doName(i))
			if err := s.books.Publish(l.Ctx, "lb/"+s.id+"/dn/cmd/meter/write", false, c); err != nil {
				return rounds, err
			}
			l.Sleep(50 * time.Millisecond)
		}
		_ = l.Until("the answers", 2*time.Second, func() bool { a.read(); return len(a.good) == goodCommands })
		if len(a.good) == goodCommands || rounds > roundsMost {
			return rounds, nil
		}
	}
}

// silent are the commands that reached the device and were not answered with it.
func (l lab) silent(s *meeting, a *answered) (n int) {
	heard := string(s.tty.Received())
	for i := range goodCommands {
		if strings.Contains(heard, doName(i)) && !a.good[fmt.Sprintf("good-%03d", i)] {
			n++
		}
	}
	return n
}

func twice(tty *kit.Pty) (n int) {
	heard := string(tty.Received())
	for i := range goodCommands {
		if strings.Count(heard, doName(i)) > 1 {
			n++
		}
	}
	return n
}
