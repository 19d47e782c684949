package diagnose

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linkbeat/linkbeat/transport/brokertest"
	"github.com/linkbeat/linkbeat/transport/brokerurl"
	"github.com/linkbeat/linkbeat/transport/netdial"
	"github.com/linkbeat/linkbeat/transport/transporttest"
)

// diagnosed runs t and returns its steps by name ("topics data" for those about topics, by class), and their names in order.
func diagnosed(t *testing.T, trial Diagnosis) (map[string]Step, string) {
	t.Helper()
	steps, names := map[string]Step{}, []string{}
	trial.Report = func(s Step) {
		steps[s.Name], names = s, append(names, s.Name)
		for _, topic := range s.Topics {
			steps[s.Name+" "+topic.Class] = s
		}
		t.Logf("%-10s %8v %-12s %s %v", s.Name, s.Took.Round(time.Microsecond), s.Fault, s.Text, s.Certs)
	}
	fine, err := trial.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	bad := false
	for _, s := range steps {
		bad = bad || s.Fault != ""
	}
	if fine == bad {
		t.Errorf("fine is %v", fine)
	}
	return steps, strings.Join(names, ", ")
}

// session is the client id of the sessions.
const session = "gw-1-p4711"

// lasting is what run asks for by default.
func lasting() Asks {
	return Asks{Keepalive: 1170 * time.Second, Lasting: true, Will: true, Retain: true}
}

func echoTopics(classes ...string) (all []EchoTopic) {
	for _, c := range classes {
		all = append(all, EchoTopic{Class: c, Topic: "lb/gw-1/up/" + c, Other: "lb/" + session + "/up/" + c})
	}
	return all
}

func TestDiagnosisOverAFakeBroker(t *testing.T) {
	onPublish := func(a transporttest.Answer) transporttest.Hooks {
		return transporttest.Hooks{OnPublish: func(_ string, m transporttest.Message) transporttest.Answer {
			if strings.HasSuffix(m.Topic, "/log") {
				return a
			}
			return transporttest.Take
		}}
	}
	all, apart := "dns, tcp, connect, subscribe, retained, topics", "dns, tcp, connect, subscribe, retained, topics, topics"
	for name, c := range map[string]struct {
		hooks   transporttest.Hooks
		resolve error
		addr    string
		names   string
		fault   map[string]Fault
		log     string // verdict
	}{
		"all is well": {names: all, log: EchoOK},
		"swallowed":   {hooks: onPublish(transporttest.Swallow), names: apart, log: EchoUnknown},
		"hung up": {hooks: onPublish(transporttest.HangUp), names: apart, fault: map[string]Fault{"topics log": FaultDenied},
			log: EchoDenied},
		"never acked": {hooks: onPublish(transporttest.Mute), names: all, log: EchoOK},
		"wrong password": {hooks: transporttest.Hooks{OnConnect: func(transporttest.Connect) byte { return 4 }},
			names: "dns, tcp, connect", fault: map[string]Fault{"connect": FaultLogin}},
		"not ours": {hooks: transporttest.Hooks{OnConnect: func(transporttest.Connect) byte { return 2 }},
			names: "dns, tcp, connect", fault: map[string]Fault{"connect": FaultClientID}},
		"no such name": {resolve: &net.DNSError{Name: "broker", IsNotFound: true}, names: "dns",
			fault: map[string]Fault{"dns": FaultNoName}},
		"no DNS": {resolve: &net.DNSError{Name: "broker", IsTimeout: true}, names: "dns",
			fault: map[string]Fault{"dns": FaultNoDNS}},
		"nothing there": {addr: "192.0.2.9:1", names: "dns, tcp", fault: map[string]Fault{"tcp": FaultRefused}},
		"denied to hear": {hooks: transporttest.Hooks{OnSubscribe: func(_, f string) byte {
			if strings.HasSuffix(f, "/log") || strings.HasSuffix(f, "/dn/x") {
				return transporttest.SubscriptionFailed
			}
			return 1
		}}, names: apart, fault: map[string]Fault{"subscribe": FaultDenied}, log: EchoUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, broker := transporttest.NewNetwork(), transporttest.NewBroker(c.hooks)
				addr := c.addr
				if addr == "" {
					addr = "192.0.2.2:1883"
				}
				l, err := n.Listen(addr)
				if err != nil {
					t.Fatal(err)
				}
				broker.Serve(l)
				defer n.Close()
				defer broker.Close()
				steps, names := diagnosed(t, Diagnosis{
					Server: netdial.Server{URL: "mqtt://broker"}, SessionID: session,
					Filters: []string{"lb/gw-1/dn/x", "lb/gw-1/dn/y"}, Topics: echoTopics("data", "log", "stats"), Dial: n.Dial,
					Asks:  lasting(),
					Probe: "lb/gw-1/dn/probe/0",
					Resolve: func(context.Context, string) ([]netip.Addr, error) {
						return []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}, c.resolve
					},
				})
				if names != c.names {
					t.Errorf("steps: %s\nwant: %s", names, c.names)
				}
				for name, s := range steps {
					if name == StepEcho {
						continue // the last of several
					}
					if s.Fault != c.fault[name] {
						t.Errorf("%s: fault %q, want %q", name, s.Fault, c.fault[name])
					}
				}
				if steps["topics log"].Verdict != c.log {
					t.Errorf("log is %q, want %q", steps["topics log"].Verdict, c.log)
				}
				for _, hello := range broker.Connects() {
					if hello.ClientID != session {
						t.Errorf("connected as %+v", hello)
					}
				}
			})
		})
	}
}

func TestDiagnosisOfMosquittoWithAnACL(t *testing.T) {
	for name, c := range map[string]struct {
		rules string
		want  map[string]string
	}{
		"all": {"topic readwrite lb/gw-1/#\n", map[string]string{"data": EchoOK, "log": EchoOK}},
		"log denied": {"topic readwrite lb/gw-1/dn/#\ntopic readwrite lb/gw-1/up/data\ntopic read lb/gw-1/up/log\n",
			map[string]string{"data": EchoOK, "log": EchoDenied}},
		"write alone": {"topic write lb/gw-1/up/#\ntopic read lb/gw-1/dn/#\n",
			map[string]string{"data": EchoOK, "log": EchoOK}},
		"write a few": {"topic write lb/gw-1/up/data\ntopic readwrite lb/gw-1/dn/probe/+\n",
			map[string]string{"data": EchoOK, "log": EchoDenied}},
		"by client id": {"pattern readwrite lb/%c/#\n", map[string]string{"data": EchoUnknown, "log": EchoUnknown}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := brokertest.Start(t, brokertest.ACL(c.rules))
			steps, _ := diagnosed(t, Diagnosis{Server: netdial.Server{URL: brokerurl.URL("mqtt://" + m.Addr())},
				SessionID: session,
				Topics:    echoTopics("data", "log"), Probe: "lb/gw-1/dn/probe/0"})
			for class, want := range c.want {
				if got := steps["topics "+class].Verdict; got != want {
					t.Errorf("%s is %q, want %q", class, got, want)
				}
			}
		})
	}
}

func TestDiagnosisSeesCertificates(t *testing.T) {
	a, b := brokertest.NewAuthority(t, "ca"), brokertest.NewAuthority(t, "ca")
	a.Issue("server", brokertest.OnLoopback)
	a.Issue("other", brokertest.Named("other.example"))
	a.Issue("gw-1", brokertest.Named("gw-1"))
	b.Issue("gw-1", brokertest.Named("gw-1"))
	later := func(d time.Duration) func() time.Time { return func() time.Time { return time.Now().Add(d) } }
	good, other := brokertest.Start(t, brokertest.TLS(a, "server", "mqtt")),
		brokertest.Start(t, brokertest.TLS(a, "other", "mqtt"))
	ws, plain := brokertest.Start(t, brokertest.TLS(a, "server", "websockets")), brokertest.Start(t, brokertest.Plain)
	for name, c := range map[string]struct {
		url   string
		o     netdial.TLSOptions
		now   func() time.Time
		step  string
		fault Fault
	}{
		"good":              {"mqtts://" + good.Addr(), options(a, "gw-1"), nil, "connect", ""},
		"over WebSocket":    {"wss://" + ws.Addr(), options(a, "gw-1"), nil, "connect", ""},
		"other authority":   {"mqtts://" + good.Addr(), options(b, "gw-1"), nil, "tls", FaultAuthority},
		"other name":        {"mqtts://" + other.Addr(), options(a, "gw-1"), nil, "tls", FaultName},
		"expired":           {"mqtts://" + good.Addr(), options(a, "gw-1"), later(2 * time.Hour), "tls", FaultExpired},
		"clock":             {"mqtts://" + good.Addr(), options(a, "gw-1"), later(-2 * time.Hour), "tls", FaultClock},
		"ours is missing":   {"mqtts://" + good.Addr(), netdial.TLSOptions{CAFile: a.File("ca.crt")}, nil, "connect", FaultOurs},
		"no such file":      {"mqtts://" + good.Addr(), netdial.TLSOptions{CAFile: "/no/such/file"}, nil, "tls", FaultFiles},
		"no TLS there":      {"mqtts://" + plain.Addr(), options(a, "gw-1"), nil, "tls", FaultClosed},
		"no WebSocket":      {"ws://" + plain.Addr(), netdial.TLSOptions{}, nil, "websocket", FaultClosed},
		"TLS, and we plain": {"mqtt://" + good.Addr(), netdial.TLSOptions{}, nil, "connect", FaultClosed},
	} {
		t.Run(name, func(t *testing.T) {
			steps, _ := diagnosed(t, Diagnosis{Server: netdial.Server{URL: brokerurl.URL(c.url), TLS: c.o}, SessionID: session,
				Now: c.now, Topics: echoTopics("data")})
			if got, ok := steps[c.step]; !ok || got.Fault != c.fault {
				t.Errorf("%s: %+v, want %q", c.step, got, c.fault)
			}
			if certs := steps["tls"].Certs; c.step == "tls" && c.fault != FaultFiles && c.fault != FaultClosed &&
				(len(certs) != 2 || certs[0].Ours || !certs[1].Ours) {
				t.Errorf("certificates: %+v", certs)
			}
		})
	}
}

func TestDiagnosisHasErrorsOnlyForItsServer(t *testing.T) {
	if _, err := (Diagnosis{Server: netdial.Server{URL: "gopher://broker"}}).Run(t.Context()); err == nil {
		t.Error("no error")
	}
	steps, _ := diagnosed(t, Diagnosis{Server: netdial.Server{URL: "mqtt://127.0.0.1:1"}})
	if steps["tcp"].Fault != FaultRefused {
		t.Errorf("%+v", steps)
	}
	m := brokertest.Start(t, brokertest.Plain)
	steps, _ = diagnosed(t, Diagnosis{Server: netdial.Server{URL: brokerurl.URL("mqtt://" + m.Addr()),
		Password: func() (string, error) {
			return "", errors.New("gone")
		}}})
	if steps["connect"].Fault != FaultFiles {
		t.Errorf("%+v", steps)
	}
}

func options(a *brokertest.Authority, client string) netdial.TLSOptions {
	return netdial.TLSOptions{CAFile: a.File("ca.crt"), CertFile: a.File(client + ".crt"), KeyFile: a.File(client + ".key")}
}
