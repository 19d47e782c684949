package delivered

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// device is a serial device that says numbered lines.
type device struct {
	name string
	rate int // lines a second
	size int // bytes of a line
	stop int // after so many; 0: when the situation ends
}

func meter() device { return device{name: "meter", rate: 5, size: 60} }

// place is where a gateway stands: what its broker, its front and its document are like.
type place struct {
	user    string // of the gateway; its id where it is empty
	acl     string // of mosquitto, with {id} for the gateway's id; empty: everybody may do everything
	conf    string // of mosquitto
	front   *front // between the two; nil: none
	devices []device
	doc     func(d kit.Doc)
	skewed  bool // the wall clock of the agent can be moved
}

// stand is a gateway at its place, with the books of what arrived there.
type stand struct {
	lab
	id     string
	p      place
	broker *kit.Broker
	books  *kit.Collector
	agent  *kit.Agent
	doc    kit.Doc
	seen   *watch

	ttys    map[string]*kit.Pty
	players map[string]*kit.Numbered
	playing sync.WaitGroup
	quiet   func()
	ran     atomic.Int64 // commands
}

// at prepares all of it. The agent is not started.
func (l lab) at(id string, p place) (s *stand, err error) {
	s = l.alone(id)
	if s.p = p; len(p.devices) == 0 {
		s.p.devices = []device{meter()}
	}
	if s.broker, err = l.Broker(kit.BrokerOptions{ACL: s.rules(p.acl), Conf: p.conf}); err != nil {
		return nil, err
	}
	host := s.broker.Host()
	if p.front != nil {
		if err := p.front.listen(l.Env, host); err != nil {
			return nil, err
		}
		host = p.front.Addr
	}
	return s, s.before("mqtt://"+host, s.broker.URL())
}

// alone is a stand without a broker of its own.
func (l lab) alone(id string) *stand {
	return &stand{lab: l, id: id, p: place{devices: []device{meter()}}, ttys: map[string]*kit.Pty{},
		players: map[string]*kit.Numbered{}, quiet: func() {}}
}

// before prepares the gateway before a server at url, with books at the URL of a broker.
func (s *stand) before(url, books string) (err error) {
	s.books, err = s.Collect(kit.CollectOptions{URL: books, ID: s.id + "-books", User: s.reader(),
		Filters: []string{"lb/" + s.id + "/up/#"}})
	if err != nil {
		return err
	}
	user := s.p.user
	if user == "" {
		user = s.id
	}
	s.doc = kit.NewDoc(s.id, url).Set("uplink.username", user).Set("uplink.detect_within", "60s").
		Set("uplink.backoff.max", "5s").Set("heartbeat.interval", "20s").Set("spool.write_after", "0s")
	for _, d := range s.p.devices {
		if s.ttys[d.name], err = s.Pty(s.id + "-" + d.name); err != nil {
			return err
		}
		s.doc.Line(d.name, s.ttys[d.name].Port)
	}
	if s.p.doc != nil {
		s.p.doc(s.doc)
	}
	argv := []string{s.lab.agent}
	if s.p.skewed {
		argv[0] = s.lab.skewed
	}
	s.agent, err = s.Agent(kit.AgentOptions{Argv: argv, Doc: s.doc})
	return err
}

// reader is who keeps the books, where the broker has names for its users.
func (s *stand) reader() string {
	if s.broker == nil {
		return ""
	}
	return "books"
}

// rules are those of an acl_file for this gateway, and for the books.
func (s *stand) rules(acl string) string {
	if acl == "" {
		return ""
	}
	return "user books\ntopic readwrite #\n\n" + strings.ReplaceAll(acl, "{id}", s.id)
}

// start runs the agent, plays, and follows what it says from now on.
func (s *stand) start() error {
	if err := s.agent.Start(); err != nil {
		return err
	}
	s.seen = s.follow()
	s.play()
	return nil
}

// play writes lines until quiet.
func (s *stand) play() {
	for _, d := range s.p.devices {
		s.players[d.name] = &kit.Numbered{Rate: d.rate, Size: d.size}
	}
	s.resume()
}

// resume goes on after quiet, with the next numbers.
func (s *stand) resume() {
	ctx, cancel := context.WithCancel(s.Ctx)
	for _, d := range s.p.devices {
		n := s.players[d.name]
		s.playing.Go(func() { _ = n.Run(ctx, s.ttys[d.name], d.stop) }) // what was not written is not counted
	}
	s.quiet = sync.OnceFunc(func() { cancel(); s.playing.Wait() })
}

// wrote is when each line of a device was handed over.
func (s *stand) wrote(name string) []time.Time { return s.players[name].Wrote() }

// end takes down what this stand runs, so that the others have the machine for themselves.
func (s *stand) end() {
	s.quiet()
	if s.seen != nil {
		s.seen.stop()
	}
	if s.agent != nil && s.agent.Proc() != nil {
		s.agent.Kill()
	}
	if s.broker != nil {
		s.broker.Kill()
	}
	for _, tty := range s.ttys {
		tty.Unplug()
	}
}

// command runs a command of the program beside the agent, and returns what it printed and its exit code.
func (s *stand) command(limit time.Duration, args ...string) (out string, code int, err error) {
	name := fmt.Sprintf("%s-%s-%d", s.id, args[0], s.ran.Add(1))
	argv := append([]string{s.lab.agent}, args...)
	p, err := s.StartProc(name, "", []string{"RUNTIME_DIRECTORY=" + s.agent.Dir}, append(argv, "-c", s.agent.ConfigPath)...)
	if err != nil {
		return "", 0, err
	}
	code, err = p.Exit(limit)
	return p.Tail(1 << 20), code, err
}

// wait waits until ok, or until the limit is over, and reports which. On a busy machine it waits no longer: what it waits for may
// never come.
func (l lab) wait(limit time.Duration, ok func() bool) bool {
	for end := time.Now().Add(limit); !ok(); l.Sleep(looks) {
		if time.Now().After(end) || l.Ctx.Err() != nil {
			return false
		}
	}
	return true
}

// reconnect is what a person does who has mended something.
func (s *stand) reconnect() error {
	out, code, err := s.command(20*time.Second, "reconnect")
	if err == nil && code != 0 {
		err = fmt.Errorf("linkbeat reconnect: exit code %d: %s", code, out)
	}
	return err
}

// watch is what `why` says over time.
type watch struct {
	stop func()

	mu   sync.Mutex
	said []saying
}

// saying is one sentence, and when it was first seen.
type saying struct {
	text string
	at   time.Time
}

// looks is how often it is looked at.
const looks = 100 * time.Millisecond

// follow looks at the agent's status until stop, or the end of the run.
func (s *stand) follow() *watch {
	ctx, cancel := context.WithCancel(s.Ctx)
	w := &watch{}
	var done sync.WaitGroup
	w.stop = sync.OnceFunc(func() { cancel(); done.Wait() })
	done.Go(func() {
		for ctx.Err() == nil {
			if st, err := s.agent.Status(); err == nil {
				w.look(st.Why, st.Uplink.State == "up")
			}
			s.Sleep(looks)
		}
	})
	return w
}

func (w *watch) look(why string, up bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.said); n > 0 && w.said[n-1].text == why {
		return
	}
	if why == "" && !up {
		return
	}
	w.said = append(w.said, saying{why, time.Now()})
}

// first is the first sentence with that part, and when it was said after the beginning of the trouble; "": never.
func (w *watch) first(part string, began time.Time) (text string, after time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.said {
		if strings.Contains(s.text, part) {
			return s.text, s.at.Sub(began)
		}
	}
	return "", 0
}

// all are the distinct sentences, in order.
func (w *watch) all() (texts []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.said {
		if s.text != "" {
			texts = append(texts, s.text)
		}
	}
	return texts
}
