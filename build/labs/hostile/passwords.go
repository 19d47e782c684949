package hostile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// secret stands in every password, token and other word of these documents that nobody but its addressee may see.
const secret = "SECRET"

// far is an address that is not loopback, in a namespace of the laboratory's own: what goes there may be read on the way.
const far = "10.91.0.1"

// fileWith is a file of ours alone with a word in it.
func (p *place) fileWith(word string) string {
	f, err := os.CreateTemp(p.dir, "word-")
	if err != nil {
		return "/nonexistent"
	}
	defer f.Close()
	_, _ = f.WriteString(word + "\n")
	return f.Name()
}

// passwords runs every configuration and looks through the eyes of three strangers.
func (l lab) passwords() error {
	p, err := l.place()
	if err != nil {
		return err
	}
	all := secretDocs()[:min(len(secretDocs()), map[bool]int{true: 100, false: l.o.Docs}[l.o.Full])]
	var sum seen
	var jobs []func() error
	for i, d := range all {
		jobs = append(jobs, func() error {
			if err := l.secretDoc(p, d, i, &sum); err != nil {
				return fmt.Errorf("%s: %w", d.name, err)
			}
			return nil
		})
	}
	jobs = append(jobs, func() error { return l.loginInClear(p) }, func() error { return l.typed(p) })
	if err := kit.SideBySide(4, jobs); err != nil {
		return err
	}
	l.t.AtLeast("configurations with passwords", float64(len(all)), float64(map[bool]int{true: 30, false: l.o.Docs}[l.o.Full]),
		"")
	for _, reader := range []string{readerMiddle, readerLocal, readerBundle} {
		l.t.Exactly("configurations of which "+reader+" has something to read", len(sum.looked[reader]), len(all), "", "")
	}
	var unseen []string
	for _, place := range localPlaces() {
		if !sum.places[place] {
			unseen = append(unseen, place)
		}
	}
	l.t.Exactly("places at which a local user looks that were empty each time", len(unseen), 0,
		fmt.Sprint("of ", len(localPlaces())), strings.Join(unseen, "; "))
	l.t.Exactly("passwords that a man in the middle sees", len(sum.middle), 0, "", strings.Join(sum.middle, "; "))
	l.t.Exactly("passwords that a local user sees", len(sum.local), 0, "", strings.Join(sum.local, "; "))
	l.t.Exactly("passwords that a bundle's reader sees", len(sum.bundle), 0, "", strings.Join(sum.bundle, "; "))
	l.t.Exactly("passwords that their server did not get", len(sum.untold), 0, "", strings.Join(sum.untold, "; "))
	return nil
}

type seen struct {
	mu                            sync.Mutex
	middle, local, bundle, untold []string
	looked                        map[string]map[string]bool // by reader: configurations of which something was there to be read
	places                        map[string]bool            // at which a local user looked
}

func (s *seen) add(list *[]string, what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*list = append(*list, what)
}

// look notes that a reader had something of a configuration to read.
func (s *seen) look(reader, doc string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.looked == nil {
		s.looked, s.places = map[string]map[string]bool{}, map[string]bool{}
	}
	if s.looked[reader] == nil {
		s.looked[reader] = map[string]bool{}
	}
	s.looked[reader][doc] = true
}

// The readers.
const (
	readerMiddle, readerLocal, readerBundle = "a man in the middle", "a local user", "a bundle's reader"
)

func (l lab) secretDoc(p *place, d secretDoc, i int, sum *seen) error {
	word := fmt.Sprintf("%s-%02d-%s", secret, i, "pw")
	id := fmt.Sprint("gw-pw-", i)
	tty, err := l.Pty(id)
	if err != nil {
		return err
	}
	doc := kit.NewDoc(id).Line("meter", tty.Port).Set("uplink.tls.ca_file", p.certs.CA).Set("log.level", "debug")
	mark := children(doc, id) // programs that are there to be looked at, unless the document has some of its own
	d.doc(p, doc, word)
	o := kit.AgentOptions{Argv: []string{l.agent}, Doc: doc, Netns: p.netns}
	if d.env != nil {
		o.Env = d.env(word)
	}
	a, err := l.Agent(o)
	if err != nil {
		return err
	}
	if err := a.Start(); err != nil {
		return err
	}
	l.Sleep(2500 * time.Millisecond)
	sum.look(readerMiddle, d.name) // all servers stood there, and heard what there was
	for _, name := range []string{"evil", "clear", "web"} {
		if p.told(name, word) {
			sum.add(&sum.middle, d.name+" ("+name+")")
		}
	}
	for _, name := range p.names() {
		if p.told(name+published, word) {
			sum.add(&sum.middle, d.name+" (a message at "+name+")")
		}
	}
	if d.good != "" && !p.told(d.good, word) {
		sum.add(&sum.untold, d.name)
	}
	packed, said := l.bundleEyes(p, a, o.Env)
	if len(packed) > 0 || len(said["diag --bundle"]) > 0 { // of a document that is none it says why there is no bundle
		sum.look(readerBundle, d.name)
	}
	if bytes.Contains(packed, []byte(word)) {
		sum.add(&sum.bundle, d.name)
	}
	for what, out := range said {
		if what == eyeCheck && d.args {
			continue
		}
		if bytes.Contains(out, []byte(word)) {
			sum.add(&sum.bundle, d.name+" ("+what+")")
		}
	}
	if len(packed) == 0 && a.Proc().Running() {
		l.Logf("%s: no bundle: %.300s", d.name, said["diag --bundle"])
	}
	for what, out := range l.localEyes(p, a, mark) {
		if len(out) > 0 {
			sum.look(readerLocal, d.name)
			sum.mu.Lock()
			sum.places[what] = true
			sum.mu.Unlock()
		}
		if bytes.Contains(out, []byte(word)) {
			sum.add(&sum.local, d.name+" ("+what+")")
		}
	}
	a.Kill()
	return nil
}

// typed is what an operator types at a device, or what the device answers: no other user of the gateway may read along.
func (l lab) typed(p *place) error {
	tty, err := l.Pty("typed")
	if err != nil {
		return err
	}
	a, err := l.Agent(kit.AgentOptions{Argv: []string{l.agent}, Netns: p.netns,
		Doc: servers(kit.NewDoc("gw-typed").Line("meter", tty.Port), "mqtts://"+p.good).Set("uplink.tls.ca_file", p.certs.CA)})
	if err != nil {
		return err
	}
	if err := a.StartUp(); err != nil {
		return err
	}
	quit := make(chan struct{})
	defer close(quit)
	go func() {
		for {
			select {
			case <-quit:
				return
			case <-time.After(50 * time.Millisecond):
				_, _ = tty.Write([]byte("password: " + secret + "-typed\n"))
			}
		}
	}()
	for _, path := range []string{"/tap/meter", "/tap/meter?format=json"} {
		c := http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DialContext: kit.Dialer(p.netns)}}
		var got []byte
		if r, err := c.Get("http://" + a.HTTP + path); err == nil {
			got, _ = io.ReadAll(io.LimitReader(r.Body, 1<<16))
			_ = r.Body.Close()
		}
		var err error
		if plain := strings.ReplaceAll(string(got), "\n", ""); strings.Contains(plain, secret) || len(got) > 500 {
			err = fmt.Errorf("%d bytes: %.200q", len(got), got)
		}
		l.t.Check("a local user reads no serial line through "+path+" over TCP", err)
	}
	a.Kill()
	return nil
}

// loginInClear is a document that ran before: a login, and one server without TLS. It runs, and says what is wrong with it.
func (l lab) loginInClear(p *place) error {
	run := func(id, url, user string) (*kit.Agent, *kit.Status, error) {
		doc := servers(kit.NewDoc(id), url)
		if user != "" {
			doc.Set("uplink.username", user).Set("uplink.password", secret+"-in-clear")
		}
		a, err := l.Agent(kit.AgentOptions{Argv: []string{l.agent}, Netns: p.netns, Doc: doc})
		if err != nil {
			return nil, nil, err
		}
		if err := a.StartUp(); err != nil {
			return a, nil, err
		}
		l.Sleep(300 * time.Millisecond)
		s, err := a.Status()
		return a, s, err
	}
	const name = "a document with username and one mqtt:// server"
	a, s, err := run("gw-clear", "mqtt://"+p.clear, "gw")
	l.t.Check(name+": runs", err)
	if err == nil {
		if !strings.Contains(s.Why, "clear") && !strings.Contains(s.Why, "TLS") {
			err = fmt.Errorf("why: %q", s.Why)
		} else if log := a.Proc().Tail(50); !strings.Contains(log, "clear") && !strings.Contains(log, "insecure_login") {
			err = errors.New("the log says nothing")
		}
		if !p.told("clear", secret+"-in-clear") {
			err = errors.Join(err, errors.New("its server did not get the login: after an upgrade it would not take the gateway"))
		}
		l.t.Check(name+": says it, in why and in the log", err)
	}
	a.Kill()
	control, s, err := run("gw-clear-control", "mqtt://"+p.clear, "")
	if err == nil && s.Why != "" {
		err = fmt.Errorf("why: %q", s.Why)
	}
	l.t.Check("without username nothing is said", err)
	control.Kill()
	return nil
}
