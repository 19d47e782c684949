// Package diagnose tries a server once, step by step, and reports to a person what each step found; and it asks which topics are
// delivered (Echo). Servers and topics come in, steps and verdicts go out. Its sessions are short and its own: a running link is
// not disturbed, and not known.
package diagnose

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/linkbeat/linkbeat/transport/codec"
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
	StepEcho      = "echo" // one for each class
)

const (
	patience  = 10 * time.Second // for one step, or one address
	patience5 = 5 * time.Second  // for an answer to CONNECT in MQTT 5
	rounds    = 3                // addresses that may stay silent for so long
)

// Step is what came of one step.
type Step struct {
	Name    string
	Class   string // of StepEcho: that of its topic
	Took    time.Duration
	Text    string // what was found, or what is wrong, in words without a secret
	Fault   Fault  // empty: none
	Verdict string // of StepEcho: EchoOK, EchoDenied or EchoUnknown
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
// who wants to know why a gateway is offline. Its MQTT session is a clean one with the client id "<ClientID>-p0", the same as
// that of a Link's checks, so that a running Link is not disturbed. What it subscribes to may reach it as well; it ignores that.
type Diagnosis struct {
	Server   netdial.Server
	ClientID string         // of the gateway
	Filters  []string       // to subscribe to
	Topics   []EchoTopic    // to hear itself on
	Probe    string         // a topic to hear itself on for certain, where anything can be heard; if empty, nothing is denied
	Proxy    *netdial.Proxy // the proxy to go through; nil: none

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
	e      *netdial.Endpoint
	answer string // the address that answered TCP
	fine   bool
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
	hello := codec.CheckConnect(r.ClientID, r.e.Username, password)
	session := newClient(c, nil)
	goesOn := r.connect(ctx, session, hello) && r.subscribe(ctx, session)
	if hangUp(session); !goesOn || len(r.Topics) == 0 {
		return
	}
	trial := NewTrial(hello, r.again, nil)
	defer trial.Close()
	all, _ := trial.Verdicts(ctx, Question{Topics: r.Topics, Probe: r.Probe}) // each result says its own
	for _, h := range all {
		r.echo(h)
	}
}

// connect is CONNECT and its answer.
func (r *running) connect(ctx context.Context, c *client.Client, hello *packets.ConnectPacket) bool {
	start := time.Now()
	err := connect(ctx, c, hello, true)
	s := Step{Name: StepConnect, Took: time.Since(start)}
	s.Text = fmt.Sprintf("accepted as %q%s", hello.ClientIdentifier, asUser(hello))
	if err != nil {
		r.fail(&s, err)
		if s.Fault == FaultClosed {
			s.Text += " before it answered CONNECT"
		}
	}
	r.step(s)
	return err == nil
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

// subscribe asks for the filters. False: there is no session any more.
func (r *running) subscribe(ctx context.Context, c *client.Client) bool {
	if len(r.Filters) == 0 {
		return true
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
	return err == nil
}

func (r *running) echo(h Result) {
	s := Step{Name: StepEcho, Class: h.Class, Verdict: h.Verdict, Took: h.Took, Text: h.Topic + " " + h.Why}
	if h.Verdict == EchoDenied {
		s.Fault = FaultDenied
	}
	r.step(s)
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
