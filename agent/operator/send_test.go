package operator_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/agent/operator"
	"github.com/linkbeat/linkbeat/agent/wire"
	"github.com/linkbeat/linkbeat/transport/transporttest"
)

// answering is a gateway "gw" that answers what comes for "meter" with reply.
func answering(f **fleet, got *wire.Command, reply func(wire.Command) []wire.Reply) transporttest.Hooks {
	return transporttest.Hooks{OnPublish: func(_ string, m transporttest.Message) transporttest.Answer {
		if m.Topic != "lb/gw/dn/cmd/meter/write" {
			return transporttest.Take
		}
		c, err := wire.ParseCommand(m.Payload)
		if err != nil {
			c.ID = err.Error()
		}
		*got = c
		for _, r := range reply(c) {
			(*f).say("lb/gw/up/reply/meter", string(r.Append(nil)), false)
		}
		return transporttest.Take
	}}
}

func TestSend(t *testing.T) {
	ok := func(c wire.Command) []wire.Reply { return []wire.Reply{{ID: c.ID, OK: true}} }
	for _, tt := range []struct {
		name  string
		data  string
		enc   wire.Encoding
		reply func(wire.Command) []wire.Reply
		want  string // of the error
	}{
		{"done", "on\n", wire.Text, ok, ""},
		{"bytes that are no text", "\xff\x00", wire.Text, ok, ""},
		{"hex", "\xff\x00", wire.Hex, ok, ""},
		{"another's reply comes first", "on", wire.Text, func(c wire.Command) []wire.Reply {
			return []wire.Reply{{ID: "other", OK: false, Error: wire.Busy}, {ID: c.ID, OK: true}}
		}, ""},
		{"refused", "on", wire.Text, func(c wire.Command) []wire.Reply {
			return []wire.Reply{{ID: c.ID, Error: wire.Denied, Detail: "meter takes no commands"}}
		}, "denied: meter takes no commands; see commands and requests.allow of this device in the gateway's configuration"},
		{"no reply", "on", wire.Text, func(wire.Command) []wire.Reply { return nil },
			"no reply from gw/meter within 30s; the broker knows no gateway \"gw\": see linkbeatctl devices"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var fl *fleet
			var got wire.Command
			bubble(t, answering(&fl, &got, tt.reply), func(t *testing.T, f *fleet) {
				fl = f
				begin := time.Now()
				_, err := operator.Send(t.Context(), f.o, operator.Command{Device: "gw", Name: "meter", Data: []byte(tt.data),
					Encoding: tt.enc})
				if tt.want == "" && err != nil || tt.want != "" && (err == nil || err.Error() != tt.want) {
					t.Errorf("got %v, want %s", err, tt.want)
				}
				if left := time.UnixMilli(got.Expires).Sub(begin); left < 29*time.Second || left > 31*time.Second {
					t.Errorf("expires after %v", left)
				}
				if data, err := got.Bytes(); string(data) != tt.data || err != nil || len(got.ID) != 16 {
					t.Errorf("command %+v carries %q, %v", got, data, err)
				}
			})
		})
	}
}

func TestSendTellsWhatItKnowsOfTheGateway(t *testing.T) {
	for state, want := range map[string]string{
		`{"online":true}`:  "gw is online: a lost reply is possible",
		`{"online":false}`: "gw is offline: the command has expired",
		`nonsense`:         "the state of gw cannot be read",
	} {
		bubble(t, transporttest.Hooks{}, func(t *testing.T, f *fleet) {
			f.say("lb/gw/up/state", state, true)
			_, err := operator.Send(t.Context(), f.o, operator.Command{Device: "gw", Name: "meter", Data: []byte("x"),
				Patience: 5 * time.Second})
			if !errors.Is(err, operator.ErrNoReply) || !strings.Contains(err.Error(), want) {
				t.Errorf("state %s: %v", state, err)
			}
		})
	}
}

// A gateway that is online answers everything: a request whose turn came at the last moment has the device's time as well.
func TestALateReplyIsWaitedFor(t *testing.T) {
	for _, tt := range []struct {
		name    string
		request bool
		after   time.Duration
		ok      bool
	}{
		{"a request that was answered slowly", true, 50 * time.Second, true},
		{"a write at the last moment", false, 8 * time.Second, true},
		{"a write that is lost", false, time.Minute, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var fl *fleet
			hooks := transporttest.Hooks{OnPublish: func(_ string, m transporttest.Message) transporttest.Answer {
				if c, err := wire.ParseCommand(m.Payload); err == nil && strings.Contains(m.Topic, "/dn/cmd/") {
					time.AfterFunc(tt.after,
						func() { fl.say("lb/gw/up/reply/meter", string(wire.Reply{ID: c.ID, OK: true}.Append(nil)), false) })
				}
				return transporttest.Take
			}}
			bubble(t, hooks, func(t *testing.T, f *fleet) {
				fl = f
				f.say("lb/gw/up/state", `{"online":true}`, true)
				_, err := operator.Send(t.Context(), f.o, operator.Command{Device: "gw", Name: "meter", Data: []byte("?"),
					Request: tt.request, Patience: 2 * time.Second})
				if (err == nil) != tt.ok {
					t.Error(err)
				}
			})
		})
	}
}

func TestWhatAGatewaySaysDoesNotSteerATerminal(t *testing.T) {
	r, err := wire.ParseReply([]byte(`{"id":"a","ok":false,"error":"\u001b]0;owned\u0007","detail":"\u001b[2J"}`))
	if text := (operator.DeviceError{Reply: r}).Error(); err != nil || strings.ContainsAny(text, "\x1b\x07") {
		t.Errorf("%q, %v", text, err)
	}
}

func TestSendInterrupted(t *testing.T) {
	bubble(t, transporttest.Hooks{}, func(t *testing.T, f *fleet) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(3*time.Second, cancel)
		_, err := operator.Send(ctx, f.o, operator.Command{Device: "gw", Name: "meter", Data: []byte("x")})
		if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "may still be carried out") {
			t.Errorf("got %v", err)
		}
	})
}

func TestSendToABadName(t *testing.T) {
	_, err := operator.Send(t.Context(), operator.Options{Server: "x"}, operator.Command{Device: "gw/1", Name: "meter"})
	if err == nil || !strings.Contains(err.Error(), `device "gw/1" holds`) {
		t.Errorf("got %v", err)
	}
}

func TestUnreachable(t *testing.T) {
	refuse := func(code byte) transporttest.Hooks {
		return transporttest.Hooks{OnConnect: func(transporttest.Connect) byte { return code }}
	}
	for _, tt := range []struct {
		name  string
		hooks transporttest.Hooks
		spoil func(f *fleet)
		want  string
	}{
		{"nobody named", transporttest.Hooks{}, func(f *fleet) { f.o.Server = "" }, "--server mqtt://host:1883"},
		{"not a scheme", transporttest.Hooks{}, func(f *fleet) { f.o.Server = "http://broker" }, "check --server"},
		{"nobody there", transporttest.Hooks{}, func(f *fleet) { f.o.Server = "nobody:1" }, "check that the broker runs"},
		{"stopped", transporttest.Hooks{}, func(f *fleet) { f.broker.Freeze() }, "check that the broker runs"},
		{"wrong password", refuse(transporttest.BadCredentials), func(*fleet) {},
			"wrong user name or password; check --user, --password-file"},
		{"no right to read",
			transporttest.Hooks{OnSubscribe: func(string, string) byte { return transporttest.SubscriptionFailed }},
			func(*fleet) {}, `it refused the subscription to lb/+/up/state, lb/+/up/info; allow user "ada"`},
		{"no password file", transporttest.Hooks{}, func(f *fleet) { f.o.PasswordFile = "no/such/file" }, "no such file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, tt.hooks, func(t *testing.T, f *fleet) {
				tt.spoil(f)
				begin := time.Now()
				_, err := operator.Devices(t.Context(), f.o, 0)
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %v, want %s", err, tt.want)
				}
				if took := time.Since(begin); took > 20*time.Second {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

func TestNewCommand(t *testing.T) {
	for _, tt := range []struct {
		given, encoding, want string
		bad                   bool
	}{
		{"a b\n", "text", "a b\n", false},
		{"0d 0A\n", "hex", "\r\n", false},
		{"0d0", "hex", "", true},
		{"/wA=\n", "base64", "\xff\x00", false},
		{"/w", "base64", "", true},
		{"x", "morse", "", true},
	} {
		w, err := operator.NewCommand("gw", "meter", tt.encoding, tt.given)
		if string(w.Data) != tt.want || (err != nil) != tt.bad {
			t.Errorf("%q as %s: %q, %v", tt.given, tt.encoding, w.Data, err)
		}
	}
}

func TestNewValues(t *testing.T) {
	for _, tt := range []struct {
		given []string
		want  string // as JSON; empty: an error
	}{
		{[]string{"setpoint=21.5", "on=true"}, `{"on":true,"setpoint":21.5}`},
		{[]string{"name=a=b"}, `{"name":"a=b"}`},
		{[]string{`name="12"`}, `{"name":"12"}`},
		{[]string{"name=null"}, `{"name":"null"}`},
		{[]string{"name="}, `{"name":""}`},
		{[]string{"n=[1]"}, ""},
		{[]string{"=1"}, ""},
		{[]string{"n"}, ""},
		{[]string{"n=1", "n=2"}, ""},
	} {
		c, err := operator.NewValues("gw", "boiler", tt.given)
		got, _ := json.Marshal(c.Values)
		if tt.want == "" && err == nil || tt.want != "" && (err != nil || string(got) != tt.want) {
			t.Errorf("%q: %s, %v", tt.given, got, err)
		}
	}
}

func TestRequest(t *testing.T) {
	var got wire.Command
	var topic string
	var fl *fleet
	hooks := transporttest.Hooks{OnPublish: func(_ string, m transporttest.Message) transporttest.Answer {
		topic = m.Topic
		got, _ = wire.ParseCommand(m.Payload)
		answer := "\x1b[2J 230.4"
		fl.say("lb/gw/up/reply/meter", string(wire.Reply{ID: got.ID, OK: true, Body: wire.Body{Text: &answer}}.Append(nil)),
			false)
		return transporttest.Take
	}}
	bubble(t, hooks, func(t *testing.T, f *fleet) {
		fl = f
		r, err := operator.Send(t.Context(), f.o, operator.Command{Device: "gw", Name: "meter", Data: []byte("?"),
			Encoding: wire.Text, Request: true, Within: 2 * time.Second, Silence: 50 * time.Millisecond})
		if err != nil || topic != "lb/gw/dn/cmd/meter/request" || got.Timeout != "2s" || got.Silence != "50ms" {
			t.Errorf("%v: %s %+v", err, topic, got)
		}
		if shown := string(operator.AppendAnswer(nil, r)); shown != "\\x1b[2J 230.4\n" {
			t.Errorf("shown as %q", shown)
		}
		if frames, err := operator.AnswerBytes(r); err != nil || len(frames) != 1 || string(frames[0]) != "\x1b[2J 230.4" {
			t.Errorf("bytes %q, %v", frames, err)
		}
	})
}
