package diag

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linkbeat/linkbeat/config"
	"github.com/linkbeat/linkbeat/transport"
	"github.com/linkbeat/linkbeat/transport/diagnose"
	"github.com/linkbeat/linkbeat/transport/transporttest"
)

func document(t *testing.T, text string, environ ...string) *config.Document {
	t.Helper()
	d, _, err := config.Parse([]byte(text), config.ParseOptions{Environ: environ, Env: func(name string) (string, bool) {
		for _, e := range environ {
			if v, ok := strings.CutPrefix(e, name+"="); ok {
				return v, true
			}
		}
		return "", false
	}})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// healthy is a machine with one interface and a way out.
func healthy() Machine {
	return Machine{
		Interfaces: func() ([]Interface, error) {
			return []Interface{{Name: "eth0", Up: true, Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.2")}}}, nil
		},
		Source: func(netip.Addr) (netip.Addr, error) { return netip.MustParseAddr("10.0.0.2"), nil },
	}
}

// diagnosed runs a diagnosis of two servers, "a" with hooks and "b" that is not there, in fake time.
func diagnosed(t *testing.T, hooks transporttest.Hooks, change func(*Options)) (r Report, text string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n, broker := transporttest.NewNetwork(), transporttest.NewBroker(hooks)
		l, err := n.Listen("192.0.2.1:1883")
		if err != nil {
			t.Fatal(err)
		}
		broker.Serve(l)
		defer n.Close()
		defer broker.Close()
		var out strings.Builder
		o := Options{Document: document(t, `uplink: {servers: [{url: "mqtt://a", insecure_login: true}, {url: "mqtt://b", insecure_login: true}],
  username: gw, password: hunter2}
device: {groups: [north]}`), ID: "gw-7", Version: "1.2", Machine: healthy(), Dial: n.Dial, Watch: &Printer{Out: &out},
			Resolve: func(_ context.Context, host string) ([]netip.Addr, error) {
				return map[string][]netip.Addr{"a": {netip.MustParseAddr("192.0.2.1")},
					"b": {netip.MustParseAddr("192.0.2.2")}}[host], nil
			}}
		o.Topics = func(other string) []transport.EchoTopic {
			return []transport.EchoTopic{
				{Class: "data", Topic: "lb/gw-7/up/data/meter", Other: "lb/" + other + "/up/data/meter"},
				{Class: "info", Topic: "lb/gw-7/up/info", Other: "lb/" + other + "/up/info"}}
		}
		if change != nil {
			change(&o)
		}
		if r, err = Run(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		text = out.String()
	})
	t.Log(text)
	return r, text
}

func TestEachServerEndsAtItsOwnFault(t *testing.T) {
	r, text := diagnosed(t, transporttest.Hooks{}, nil)
	if r.Fine() || !fine(r.Servers[0].Steps) || fine(r.Servers[1].Steps) {
		t.Errorf("%+v", r)
	}
	text = regexp.MustCompile(`-p[0-9]{4}"`).ReplaceAllString(text, `-p1234"`)
	want := `ok   interface           eth0 10.0.0.2
mqtt://a
ok   route               default route from 10.0.0.2, 10.0.0.2
ok   dns                 a is 192.0.2.1
ok   tcp                 192.0.2.1:1883 answers, from client:1
ok   connect             accepted as "gw-7-p1234", user "gw", with a keepalive of 19m30s, clean_session: false, a will that is retained
ok   subscribe           6 filters granted
ok   retained            lb/gw-7/dn/probe/0 is kept for whoever subscribes later, and was emptied again
ok   topics              2 topics (data, info): each comes back
mqtt://b
ok   route               default route from 10.0.0.2, 10.0.0.2
ok   dns                 b is 192.0.2.2
FAIL tcp                 192.0.2.2:1883: connection refused: nothing listens there
       the machine is there and nothing listens on this port: compare the port with the broker's listener, and see whether the broker runs
`
	if text != want {
		t.Errorf("got:\n%s\nwant:\n%s", text, want)
	}
	var again strings.Builder
	if r.Render(&again); strings.Count(again.String(), "\n") != strings.Count(want, "\n") {
		t.Errorf("rendered later:\n%s", &again)
	}
	acl := map[string]string{"lb/gw-7/up/data/meter": "ok", "lb/gw-7/up/info": "ok"}
	if got := r.Servers[0].ACL(); !maps.Equal(got, acl) {
		t.Errorf("acl: %v", got)
	}
	p, err := json.Marshal(r)
	if err != nil || !strings.Contains(string(p), `"step":"tcp","status":"FAIL"`) ||
		!strings.Contains(string(p), `"fault":"refused"`) {
		t.Errorf("%v %s", err, p)
	}
}

func TestOneServerOnline(t *testing.T) {
	deny := transporttest.Hooks{OnPublish: func(_ string, m transporttest.Message) transporttest.Answer {
		if strings.HasSuffix(m.Topic, "/up/info") {
			return transporttest.HangUp
		}
		return transporttest.Take
	}}
	var out strings.Builder
	r, _ := diagnosed(t, deny, func(o *Options) {
		o.Server, o.Online, o.Watch = "mqtt://a", true, &Printer{Out: &out, Faults: true}
	})
	if r.Fine() || len(r.Servers) != 1 || len(r.Machine) != 0 || r.Servers[0].ACL()["lb/gw-7/up/info"] != diagnose.EchoDenied {
		t.Errorf("%+v", r)
	}
	lines := strings.Split(out.String(), "\n")
	if len(lines) != 4 || lines[0] != "mqtt://a" || !strings.HasPrefix(lines[1], "FAIL topics") ||
		!strings.Contains(lines[2], "access list") {
		t.Errorf("%q", lines)
	}
}

func TestAMachineThatIsOffline(t *testing.T) {
	r, text := diagnosed(t, transporttest.Hooks{}, func(o *Options) {
		o.Machine.Interfaces = func() ([]Interface, error) { return nil, nil }
		o.ConfigError, o.Built = "config_error: line 3", time.Now().Add(time.Hour)
	})
	if r.Fine() || len(r.Servers) != 0 || len(r.Machine) != 3 || strings.Count(text, "warn") != 2 ||
		!strings.Contains(text, "FAIL interface") {
		t.Errorf("%+v\n%s", r, text)
	}
	r, _ = diagnosed(t, transporttest.Hooks{}, func(o *Options) {
		o.Machine.Source = func(netip.Addr) (netip.Addr, error) { return netip.Addr{}, errors.New("no way") }
		o.Document = document(t, `uplink: {servers: [{url: "mqtt://192.0.2.1"}]}`)
	})
	if steps := r.Servers[0].Steps; len(steps) != 1 || steps[0].Name != StepRoute || steps[0].Status != Fail {
		t.Errorf("%+v", r)
	}
}

func TestProxyOfTheDocument(t *testing.T) {
	r, text := diagnosed(t, transporttest.Hooks{}, func(o *Options) {
		o.Document.Uplink.Proxy = "http://gw:hunter2@192.0.2.9:3128"
		o.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("dial says no") }
	})
	if r.Fine() || !strings.Contains(text, "to 192.0.2.9 from 10.0.0.2") ||
		!strings.Contains(text, "192.0.2.9:3128: dial says no") || strings.Contains(text, "hunter2") {
		t.Error(text)
	}
	_, text = diagnosed(t, transporttest.Hooks{}, func(o *Options) { o.Document.Uplink.Proxy = "http://gw:hunter 2@x" })
	if !strings.Contains(text, "FAIL proxy") || strings.Contains(text, "hunter") {
		t.Error(text)
	}
}

func TestAServerThatIsNotOurs(t *testing.T) {
	_, err := Run(t.Context(), Options{Document: document(t, `uplink: {servers: [{url: "mqtt://a"}]}`),
		Server: "mqtt://elsewhere"})
	if !errors.Is(err, ErrNoServer) {
		t.Errorf("%v", err)
	}
}

// TestThisMachine looks at the real one: whatever it is, there is loopback and a way to it.
func TestThisMachine(t *testing.T) {
	m := Machine{}.orThis()
	all, err := m.Interfaces()
	if err != nil || len(all) == 0 {
		t.Fatalf("%v, %v", all, err)
	}
	if a, err := m.Source(netip.MustParseAddr("127.0.0.1")); err != nil || a != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("%v, %v", a, err)
	}
}

// TestAKeepaliveThatRunLeavesOutCanWait: with auto it asks for less by itself, and with a fixed one it never connects.
func TestAKeepaliveThatRunLeavesOutCanWait(t *testing.T) {
	short := transporttest.Hooks{OnConnect: func(c transporttest.Connect) byte {
		if c.Keepalive > 1160 {
			return 2
		}
		return transporttest.Accepted
	}}
	for keepalive, want := range map[string]string{"auto": "warn connect", "20m": "FAIL connect"} {
		r, text := diagnosed(t, short, func(o *Options) {
			o.Server, o.Document = "mqtt://a", document(t, `uplink: {servers: [{url: "mqtt://a"}], keepalive: `+keepalive+
				`, keepalive_ceiling: 20m}`)
		})
		if r.Fine() != (keepalive == "auto") || !strings.Contains(text, want) || !strings.Contains(text, "ok   topics") {
			t.Errorf("%s: no %q", keepalive, want)
		}
	}
}
