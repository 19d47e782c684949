package kit

import (
	"encoding/json"
	"fmt"
	"time"
)

// SiteOptions choose the parts of a [Site].
type SiteOptions struct {
	ID      string // of the gateway
	Broker  BrokerOptions
	Scheme  string    // by which the agent comes to the broker; if empty, mqtt
	Devices []string  // names, each with the framer `line` on a pseudo-terminal of its own
	Argv    []string  // the agent's program; if nil, this tree's
	Doc     func(Doc) // if set, what else the document says
}

// Site is what most of these tests begin with: one gateway with its devices, a mosquitto, and at it a subscriber that keeps the
// books and gives commands as an operator does. All of it is in our own network namespace.
type Site struct {
	Env    *Env
	Broker *Broker
	Books  *Collector
	Agent  *Agent
	Ttys   map[string]*Pty // by the names of the devices

	commands int
}

// Site prepares all of it, the books first: they miss nothing. The agent is not started.
func (e *Env) Site(o SiteOptions) (*Site, error) {
	s := &Site{Env: e, Ttys: map[string]*Pty{}}
	var err error
	if s.Broker, err = e.Broker(o.Broker); err != nil {
		return nil, err
	}
	books := CollectOptions{URL: s.Broker.URL(), ID: o.ID + "-books", Filters: []string{"lb/" + o.ID + "/up/#"}}
	if s.Books, err = e.Collect(books); err != nil {
		return nil, err
	}
	if o.Scheme == "" {
		o.Scheme = "mqtt"
	}
	doc := NewDoc(o.ID, s.Broker.SchemeURL(o.Scheme))
	for _, name := range o.Devices {
		if s.Ttys[name], err = e.Pty(o.ID + "-" + name); err != nil {
			return nil, err
		}
		doc.Line(name, s.Ttys[name].Port)
	}
	if o.Doc != nil {
		o.Doc(doc)
	}
	s.Agent, err = e.Agent(AgentOptions{Argv: o.Argv, Doc: doc})
	return s, err
}

// Reply is the answer to a command (agent/wire/README.md), with the fields that are judged here.
type Reply struct {
	ID     string                     `json:"id"`
	OK     bool                       `json:"ok"`
	Text   string                     `json:"text"`
	Hex    string                     `json:"hex"`
	Values map[string]json.RawMessage `json:"values"`
	Error  string                     `json:"error"`
	Detail string                     `json:"detail"`
}

// answerWithin is how long a command may take before the test gives up: longer than any request's own timeout.
const answerWithin = 15 * time.Second

// Command sends a command of a kind to a device or a unit, past linkbeatctl, which knows no requests, and waits for its answer.
// The time it took ends with the answer's arrival.
func (s *Site) Command(name, kind string, fields map[string]any) (got Reply, took time.Duration, err error) {
	s.commands++
	id := fmt.Sprint("c", s.commands)
	c := map[string]any{"id": id, "expires": time.Now().Add(30 * time.Second).UnixMilli()}
	for k, v := range fields {
		c[k] = v
	}
	payload, err := json.Marshal(c)
	if err != nil {
		return Reply{}, 0, fmt.Errorf("command %s: %w", id, err)
	}
	began := time.Now()
	if err := s.Books.Publish(s.Env.Ctx, s.Agent.Topic("dn/cmd/"+name+"/"+kind), false, payload); err != nil {
		return Reply{}, 0, err
	}
	err = s.Env.Until("the answer to "+string(payload), answerWithin, func() bool {
		for _, a := range s.Books.Arrivals(s.Agent.Topic("up/reply/" + name)) {
			var r Reply
			if json.Unmarshal(a.Payload, &r) == nil && r.ID == id {
				got, took = r, a.At.Sub(began)
				return true
			}
		}
		return false
	})
	return got, took, err
}
