// Package diagnose tries a server once, step by step, and reports to a person what each step found; and it asks which topics are
// delivered (Echo). Servers and topics come in, steps and verdicts go out. Its sessions are short and its own: a running link is
// not disturbed, and not known.
package diagnose

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/linkbeat/linkbeat/transport/internal/client"
	"github.com/linkbeat/linkbeat/transport/netdial"
)

// The steps of a Diagnosis, in order. A step that does not apply (a name to resolve, a proxy, TLS) is not reported.
const (
	StepDNS       = "dns"
	StepTCP       = "tcp"
	StepProxy     = "proxy"
	StepTLS       = "tls"
	StepWebSocket = "websocket"
	StepConnect   = "connect"
	StepSubscribe = "subscribe"
	StepRetained  = "retained"
	StepSize      = "size"
	StepEcho      = "topics" // one, or one for those of which the same is known
	StepTidy      = "tidy"   // only where something is left behind
)

const (
	patience  = 10 * time.Second // for one step, or one address
	patience5 = 5 * time.Second  // for an answer to CONNECT in MQTT 5
	rounds    = 3                // addresses that may stay silent for so long
)

// Step is what came of one step.
type Step struct {
	Name    string
	Topics  []EchoTopic // of StepEcho
	Took    time.Duration
	Text    string // what was found, or what is wrong, in words without a secret
	Fault   Fault  // empty: none
	Verdict string // of StepEcho: EchoOK, EchoDenied or EchoUnknown; of others EchoUnknown, where nobody can tell
	Certs   []Cert // of StepTLS: the server's first, then ours
}

// Cert is a certificate that was shown.
type Cert struct {
	Ours            bool
	Subject, Issuer string
	NotBefore       time.Time
	NotAfter        time.Time
}

// Diagnosis tries one server as a Link would reach it, once and step by step, and says what each step found; it is for a person
// who wants to know why a gateway is offline. It asks for what a Link asks for, on a topic of its own and with a client id of its
// own, so that a running Link and its checks are not disturbed, and takes back what the server would keep. What it subscribes to
// may reach it as well; it ignores that.
type Diagnosis struct {
	Server    netdial.Server
	SessionID string // the client id of its sessions; that of no other
	Asks      Asks
	Size      int            // of the largest payload of the gateway, in bytes; if zero, it is not asked about
	Filters   []string       // to subscribe to
	Topics    []EchoTopic    // to hear itself on
	Probe     string         // a topic to hear itself on for certain, where anything can be heard; if empty, nothing is denied
	Proxy     *netdial.Proxy // the proxy to go through; nil: none

	Report func(Step) // called after each step
	// that certificates are checked against; nil: time.Now
	Now  func() time.Time
	Dial func(ctx context.Context, network, addr string) (net.Conn, error) // nil: real TCP, by Interfaces

	// Interfaces are in order of preference: the first that is up with an address is used, as by a Link; empty: the kernel's
	// choice.
	Interfaces []string
	Resolve    func(ctx context.Context, host string) ([]netip.Addr, error) // nil: the system's resolver
}

// Run goes on up to the first step that fails; only a refused subscription does not end it, as what may be published is another
// question. False: something failed or is denied. An error is one of Server.
func (t Diagnosis) Run(ctx context.Context) (bool, error) {
	e, err := netdial.NewEndpoint(t.Server)
	if err != nil {
		return false, err
	}
	r := &running{Diagnosis: t, e: e, fine: true}
	if r.Now == nil {
		r.Now = time.Now
	}
	if r.Dial == nil {
		r.Dial = netdial.ByInterface(t.Interfaces)
	}
	if r.Resolve == nil {
		r.Resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	r.run(ctx)
	return r.fine, nil
}

// running is a Diagnosis under way.
type running struct {
	Diagnosis
	e        *netdial.Endpoint
	password string
	answer   string // the address that answered TCP
	fine     bool
	granted  Asks // what the server takes
	lasting  bool // it may keep a session
	kept     bool // and a message
}

func (r *running) run(ctx context.Context) {
	c, ok := r.reach(ctx)
	if !ok {
		return
	}
	password, err := r.e.ReadPassword()
	if err != nil {
		_ = c.Close()
		r.step(Step{Name: StepConnect, Fault: FaultFiles, Text: err.Error()})
		return
	}
	r.password = password
	defer r.tidy(ctx)
	session := r.connect(ctx, newClient(c))
	if session != nil {
		session = r.subscribe(ctx, session)
	}
	if session != nil {
		session = r.retained(ctx, session)
	}
	if session == nil {
		return
	}
	hangUp(session)
	trial := NewTrial(r.hello(Asks{}), r.again, nil)
	defer trial.Close()
	r.size(ctx, trial)
	if len(r.Topics) > 0 && ctx.Err() == nil {
		all, _ := trial.Verdicts(ctx, Question{Topics: r.Topics, Probe: r.Probe})                   // each result says its own
		r.lasting = r.lasting && !slices.ContainsFunc(all, func(h Result) bool { return h.Learnt }) // as its session was clean
		r.echoes(all)
	}
}

func asUser(hello *packets.ConnectPacket) string {
	switch {
	case hello.Username == "":
		return ", without a user name"
	case len(hello.Password) == 0:
		return fmt.Sprintf(", user %q without a password", hello.Username)
	}
	return fmt.Sprintf(", user %q", hello.Username)
}

// subscribe asks for the filters. nil: there is no session any more.
func (r *running) subscribe(ctx context.Context, c *client.Client) *client.Client {
	if len(r.Filters) == 0 {
		return c
	}
	start := time.Now()
	denied, err := subscribe(ctx, c, r.Filters)
	s := Step{Name: StepSubscribe, Took: time.Since(start), Text: fmt.Sprintf("%d filters granted", len(r.Filters))}
	switch {
	case err != nil:
		if r.fail(&s, err); s.Fault == FaultClosed {
			s.Fault, s.Text = FaultDenied, s.Text+" at a subscription to one of "+strings.Join(r.Filters, ", ")
		}
	case len(denied) > 0:
		s.Fault, s.Text = FaultDenied, "server refused "+strings.Join(denied, ", ")
	}
	r.step(s)
	if err != nil {
		c.Close()
		return nil
	}
	return c
}

// echoes tells the verdicts: those that agree in one step.
func (r *running) echoes(all []Result) {
	all = slices.DeleteFunc(all, func(h Result) bool { return h.Class == ClassCommands && h.Verdict != EchoDenied })
	for len(all) > 0 {
		first, others := all[0], []Result(nil)
		s := Step{Name: StepEcho, Verdict: first.Verdict}
		for _, h := range all {
			if h.Verdict != first.Verdict || h.Why != first.Why || h.Words != first.Words {
				others = append(others, h)
				continue
			}
			s.Topics, s.Took = append(s.Topics, h.EchoTopic), max(s.Took, h.Took)
		}
		s.Text = named(s.Topics, first.Verdict == EchoOK) + " " + first.Why
		if first.Words {
			s.Text += overMQTT5
		}
		if first.Verdict == EchoDenied {
			s.Fault = FaultDenied
		}
		if first.Class == ClassCommands {
			s.Name = StepSubscribe // that was granted, and nothing comes of it
		}
		r.step(s)
		all = others
	}
}

// namesMost is how many topics are named in one step.
const namesMost = 8

// named is the subject of a sentence about topics: their classes, where all is well.
func named(topics []EchoTopic, well bool) string {
	if len(topics) == 1 {
		return topics[0].Topic
	}
	var names []string
	for _, t := range topics {
		name := t.Topic
		if well {
			name = t.Class
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if n := len(names) - namesMost; n > 0 {
		names = append(names[:namesMost], fmt.Sprintf("and %d more", n))
	}
	return fmt.Sprintf("%d topics (%s): each", len(topics), strings.Join(names, ", "))
}

// fail makes s one that failed with err.
func (r *running) fail(s *Step, err error) {
	s.Fault, s.Text = faultOf(err, r.Now())
}

func (r *running) step(s Step) {
	r.fine = r.fine && s.Fault == ""
	if r.Report != nil {
		r.Report(s)
	}
}
