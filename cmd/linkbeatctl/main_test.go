package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/linkbeat/linkbeat/cmd/internal/cli"
	"github.com/linkbeat/linkbeat/cmd/internal/cli/clitest"
	"github.com/linkbeat/linkbeat/transport/transporttest"
)

// startBroker serves on loopback; gw/meter answers every write as ok, gw/gps as denied, and nobody else at all.
func startBroker(t *testing.T) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var b *transporttest.Broker
	say := func(topic, payload string, retain bool) {
		b.Publish(transporttest.Message{Topic: topic, Payload: []byte(payload), QoS: 1, Retain: retain})
	}
	b = transporttest.NewBroker(transporttest.Hooks{
		OnConnect: func(c transporttest.Connect) byte {
			if c.Username == "ada" && c.Password == "secret" && strings.HasPrefix(c.ClientID, "linkbeatctl-") {
				return transporttest.Accepted
			}
			return transporttest.BadCredentials
		},
		OnPublish: func(_ string, m transporttest.Message) transporttest.Answer {
			id := strings.Split(string(m.Payload), `"`)[3]
			switch m.Topic {
			case "lb/gw/dn/cmd/meter/write":
				say("lb/gw/up/reply/meter", `{"id":"`+id+`","ok":true}`, false)
			case "lb/gw/dn/cmd/meter/request":
				say("lb/gw/up/reply/meter", `{"id":"`+id+`","ok":true,"frames":[{"hex":"0103"},{"hex":"04"}]}`, false)
			case "lb/gw/dn/cmd/boiler/write":
				say("lb/gw/up/reply/boiler",
					`{"id":"`+id+`","ok":false,"values":{"on":true},"bad":{"setpoint":"timeout"},"error":"timeout"}`, false)
			case "lb/gw/dn/cmd/gps/request":
				say("lb/gw/up/reply/gps", `{"id":"`+id+`","ok":false,"error":"timeout"}`, false)
			case "lb/gw/dn/cmd/gps/write":
				say("lb/gw/up/reply/gps", `{"id":"`+id+`","ok":false,"error":"denied"}`, false)
			}
			return transporttest.Take
		},
		OnSubscribe: func(_, filter string) byte {
			if filter == "lb/gw/up/data/+" {
				// live data, as soon as somebody listens; retained, since this comes before the SUBACK
				say("lb/gw/up/data/meter", `{"seq":1,"ts":0,"epoch":"3f2a9c1e","text":"one"}`, true)
			}
			return 1
		},
	})
	say("lb/gw/up/state", `{"online":true,"version":"1.0","server":"mqtts://a"}`, true)
	b.Serve(l)
	t.Cleanup(b.Close)
	return "mqtt://" + l.Addr().String()
}

func TestRun(t *testing.T) {
	server := startBroker(t)
	secret := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(secret, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"LINKBEATCTL_SERVER": server, "LINKBEATCTL_USER": "ada", "LINKBEATCTL_PASSWORD_FILE": secret}
	for _, tt := range []struct {
		name     string
		args     string // separated by spaces
		in       string
		env      map[string]string // beside the one above
		code     int
		out, err string // must be contained
	}{
		{"version", "version", "", nil, 0, "linkbeatctl dev (go", ""},
		{"version, by flag", "--version", "", nil, 0, "linkbeatctl dev (go", ""},
		{"version as json", "version --json", "", nil, 0,
			`{"program":"linkbeatctl","version":"dev","commit":"","built":"","go":"go`, ""},
		{"a mistyped command", "devcies", "", nil, 64, "", "did you mean devices?"},
		{"too many arguments", "tail gw meter now", "", nil, 64, "", `argument "now" is one too many`},
		{"a bad value", "tail -n many", "", nil, 64, "", `invalid argument "many"`},
		{"a name that is no level of a topic", "send gw/17 meter x", "", nil, 64, "", `device "gw/17" holds '/'`},
		{"a name to follow that is none", "tail gw me+ter", "", nil, 64, "", `name "me+ter" holds '+'`},
		{"a console of no such name", "console gw a/b", "", nil, 64, "", `name "a/b" holds '/'`},
		{"a scheme that is none", "devices --server http://broker", "", nil, 64, "",
			"scheme must be mqtt, mqtts, ws or wss; check --server"},
		{"a value out of range", "demo --seconds -1", "", nil, 64, "", "--seconds -1"},
		{"completion of a gateway", "__complete tail g", "", nil, 0, "gw\n", ""},
		{"completion of a broker", "__complete acl --for m", "", nil, 0, "mosquitto\n", ""},
		{"help", "--help", "", nil, 0, "LINKBEATCTL_SERVER", ""},
		{"completion", "completion bash", "", nil, 0, "__start_linkbeatctl", ""},
		{"unknown command", "dance", "", nil, 64, "", `unknown command "dance"`},
		{"unknown flag", "devices --dance", "", nil, 64, "", "unknown flag: --dance"},
		{"too few arguments", "send gw", "", nil, 64, "", "<name> is missing: linkbeatctl send <device> <name> [payload]"},
		{"flags that exclude each other", "tail --json --raw", "", nil, 64, "", "[json raw]"},
		{"certificate without its key", "devices --cert x", "", nil, 64, "", "--cert and --key go together"},
		{"no broker named", "devices", "", map[string]string{"LINKBEATCTL_SERVER": ""}, 64, "", "LINKBEATCTL_SERVER"},
		{"nobody there", "devices --server 127.0.0.1:1", "", nil, 3, "", "check that the broker runs"},
		{"wrong user", "devices --user eve", "", nil, 3, "", "wrong user name or password"},
		{"wrong prefix", "devices --prefix a//b", "", nil, 64, "", `prefix "a//b"`},
		{"password in the environment", "devices", "", map[string]string{"LINKBEATCTL_PASSWORD_FILE": "",
			"LINKBEATCTL_PASSWORD": "secret"}, 0, "gw", ""},
		{"devices", "devices --settle 100ms", "", nil, 0, "gw      online", ""},
		{"devices as json", "devices --settle 100ms --json", "", nil, 0, `{"device":"gw","state":{"online":true`, ""},
		{"no devices", "devices --settle 100ms --prefix x", "", nil, 0, "DEVICE", "no gateway is known under x"},
		{"tail", "tail gw --count 1", "", nil, 0, "1970-01-01T00:00:00.000Z gw/meter #1 one\n", "1 frames, 0 duplicates"},
		{"tail as json", "tail gw --count 1 --json", "", nil, 0, `"seq":1,"ts":0,"epoch":"3f2a9c1e","text":"one"}`, ""},
		{"send", "send gw meter READ?", "", nil, 0, "done: 5 bytes written to gw/meter and drained", ""},
		{"send quietly from stdin", "send -q gw meter --hex", "0d 0a\n", nil, 0, "", ""},
		{"send nothing", "send gw meter", "", nil, 64, "", "payload is empty"},
		{"send what is not hex", "send gw meter --hex 0g", "", nil, 64, "", "payload is not hex"},
		{"send, refused", "send gw gps x", "", nil, 1, "", "denied; see commands and requests.allow"},
		{"send, no reply", "send other meter x --timeout 200ms", "", nil, 2, "", "no reply from other/meter within 200ms"},
		{"values that could not be read back", "send gw boiler --set on=true --set setpoint=21.5", "", nil, 1,
			"on=true\nsetpoint: timeout\n", "timeout; the device did not"},
		{"values that are no pair", "send gw boiler --set on", "", nil, 64, "", `"on" is not name=value`},
		{"values and bytes", "send gw boiler --set on=1 x", "", nil, 64, "", "either a payload or --set"},
		{"values as hex", "send gw boiler --set on=1 --hex", "", nil, 64, "", "[hex set]"},
		{"request", "request gw meter READ? --within 2s --silence 50ms", "", nil, 0, "0103\n04\n", ""},
		{"request, bytes", "request gw meter READ? --raw", "", nil, 0, "\x01\x03\x04", ""},
		{"request as json", "request gw meter READ? --json", "", nil, 0, `"frames":[{"hex":"0103"},{"hex":"04"}]}`, ""},
		{"request, no answer, as json", "request gw gps x --json", "", nil, 1, `"ok":false,"error":"timeout"}`,
			"linkbeatctl tap"},
		{"request of nothing", "request gw meter", "", nil, 64, "", "payload is empty"},
		{"acl", "acl --for mosquitto", "", nil, 0, "pattern write lb/%u/up/#\n", ""},
		{"acl of a fleet in the environment", "acl --for emqx --id gw", "", map[string]string{"LINKBEATCTL_PREFIX": "acme"}, 0,
			`"acme/gw/up/#"`, ""},
		{"acl that is JSON alone", "acl --for aws", "", nil, 0, `"Version": "2012-10-17"`, "iot:Connect on client/linkbeatctl-*"},
		{"acl of no broker", "acl", "", nil, 64, "", `required flag(s) "for"`},
		{"acl of another broker", "acl --for rabbitmq", "", nil, 64, "",
			"known are mosquitto, emqx, aws; see linkbeatctl acl --help"},
		{"demo without an agent", "demo --agent no/such/program", "", nil, 1, "", "build it (make build)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out, err bytes.Buffer
			lookup := func(name string) (string, bool) {
				if v, ok := tt.env[name]; ok {
					return v, true
				}
				v, ok := env[name]
				return v, ok
			}
			code := run(t.Context(), strings.Fields(tt.args), streams{strings.NewReader(tt.in), &out, &err, lookup})
			if code != tt.code || !strings.Contains(out.String(), tt.out) || !strings.Contains(err.String(), tt.err) {
				t.Errorf("code %d\nout %s\nerr %s\nwant %d\n%s\n%s", code, &out, &err, tt.code, tt.out, tt.err)
			}
			if strings.Contains(out.String()+err.String(), "secret") {
				t.Error("the password was printed")
			}
		})
	}
}

func TestInterruptEndsTailWithItsSums(t *testing.T) {
	server := startBroker(t)
	ctx, cancel := context.WithCancel(t.Context())
	var out cancelling
	out.cancel = cancel
	var err bytes.Buffer
	env := func(name string) (string, bool) {
		v, ok := map[string]string{"LINKBEATCTL_USER": "ada", "LINKBEATCTL_PASSWORD": "secret"}[name]
		return v, ok
	}
	code := run(ctx, []string{"tail", "gw", "-s", server}, streams{strings.NewReader(""), &out, &err, env})
	if code != 0 || !strings.Contains(err.String(), "1 frames") {
		t.Errorf("code %d, err %s", code, &err)
	}
}

// cancelling is ctrl-C as soon as something was printed.
type cancelling struct{ cancel func() }

func (c *cancelling) Write(p []byte) (int, error) {
	c.cancel()
	return len(p), nil
}

func TestCommandLine(t *testing.T) {
	none := func(string) (string, bool) { return "", false }
	program := func(out, err io.Writer) *cobra.Command {
		return newRoot(streams{strings.NewReader(""), out, err, none})
	}
	clitest.Habits(t, clitest.Program{Root: program(io.Discard, io.Discard),
		Run: func(t *testing.T, args ...string) (int, string) {
			t.Helper()
			var stderr bytes.Buffer
			return cli.Run(t.Context(), program(t.Output(), &stderr), args, exitCode), stderr.String()
		}})
}
