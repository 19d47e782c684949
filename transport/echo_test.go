package transport

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/linkbeat/linkbeat/transport/brokertest"
)

func otherThan(topic string) string { return strings.Replace(topic, "gw-1", TrialID("gw-1"), 1) }

func topicsOf(names ...string) (all []EchoTopic) {
	for _, name := range names {
		topic := "lb/gw-1/up/" + name
		all = append(all, EchoTopic{Class: name, Topic: topic, Other: otherThan(topic)})
	}
	return all
}

// deliverable asks over l about data of two devices, log and the state.
func deliverable(t *testing.T, l *Link) map[string]EchoResult {
	t.Helper()
	all, err := l.Trials().Deliverable(t.Context(), topicsOf("data/meter", "data/pump", "log"), "lb/gw-1/dn/probe/0",
		topicsOf("state")[0])
	if err != nil {
		t.Error(err)
	}
	is := map[string]EchoResult{}
	for _, r := range all {
		is[r.Class] = r
		t.Logf("%-10s %-8s doubt %-5v %s %s", r.Class, r.Verdict, r.Doubt, r.Topic, r.Why)
	}
	return is
}

// own gives a user rules.
func own(lines ...string) string { return "user gw-1\n" + strings.Join(lines, "\n") + "\n" }

// deliveryRow is a broker's rules, and what is so with them: each verdict is that, or unknown.
type deliveryRow struct {
	rules, user string
	front       brokertest.Front
	denied      []string // classes
	want, old   string   // of data/meter, data/pump, log, state: o, d or u; old without MQTT 5, if it is another
	doubt       string   // classes of which a person should know, with MQTT 5
	oldDoubt    string   // and without
}

func deliveryRows() map[string]deliveryRow {
	all, data := []string{"data/meter", "data/pump", "log", "state"}, []string{"data/meter", "data/pump", "log"}
	closes := func(refused func(clientID, topic string) bool) brokertest.Front {
		return brokertest.Front{Publish: func(clientID, topic string) brokertest.Deed {
			if refused(clientID, topic) {
				return brokertest.HangUp
			}
			return brokertest.Pass
		}}
	}
	foreign := func(topic string) bool { return !strings.HasPrefix(topic, "lb/gw-1/") }
	is := func(what string) func(string, string) bool {
		return func(_, topic string) bool { return foreign(topic) || strings.HasSuffix(topic, what) }
	}
	return map[string]deliveryRow{
		"open":              {rules: "user gw-1\ntopic readwrite #\n", user: "gw-1", want: "oooo"},
		"%u":                {rules: "pattern readwrite lb/%u/#\n", user: "gw-1", want: "oooo"},
		"%u, as acl prints": {rules: mosquittoRules, user: "gw-1", want: "oooo"},
		"%u, another user": {rules: "pattern readwrite lb/%u/#\n", user: "meters", denied: all, want: "dddd", old: "uuuu",
			oldDoubt: "mpls"},
		"%u, write only": {rules: "pattern write lb/%u/up/#\npattern readwrite lb/%u/dn/#\n", user: "gw-1", want: "oooo",
			old: "uuuu", oldDoubt: "mpls"},
		"%u, write only, another user": {rules: "pattern write lb/%u/up/#\npattern readwrite lb/%u/dn/#\n", user: "meters",
			denied: all, want: "dddd", old: "uuuu", oldDoubt: "mpls"},
		"%c":             {rules: "pattern readwrite lb/%c/#\n", user: "meters", want: "uuuo", old: "uuuo", oldDoubt: "mpl"},
		"%c, write only": {rules: "pattern write lb/%c/#\n", user: "meters", want: "uuuu", doubt: "mpls", oldDoubt: "mpls"},
		"%c of another": {rules: "pattern readwrite x/%c/#\n", user: "meters", denied: all, want: "dddd", old: "uuuu",
			oldDoubt: "mpls"},
		"exact": {rules: own("topic readwrite lb/gw-1/up/state", "topic readwrite lb/gw-1/dn/probe/0",
			"topic readwrite lb/gw-1/up/data/meter"), user: "gw-1", denied: []string{"data/pump", "log"}, want: "oddo",
			old: "ouuo", oldDoubt: "pl"},
		"exact, write only": {rules: own("topic write lb/gw-1/up/state", "topic write lb/gw-1/up/data/meter"),
			user: "gw-1", denied: []string{"data/pump", "log"}, want: "oddo", old: "uuuu", oldDoubt: "mpls"},
		"exact, no probe": {rules: own("topic readwrite lb/gw-1/up/#", "topic deny lb/gw-1/up/data/pump"), user: "gw-1",
			denied: []string{"data/pump"}, want: "ouoo", doubt: "p", oldDoubt: "p"},
		"no probe": {rules: own("topic readwrite lb/gw-1/up/#"), user: "gw-1", want: "oooo"},
		"state and probe alone": {rules: own("topic readwrite lb/gw-1/up/state", "topic readwrite lb/gw-1/dn/probe/+"),
			user: "gw-1", denied: data, want: "dddo", old: "uuuo", oldDoubt: "mpl"},
		"state alone": {rules: own("topic readwrite lb/gw-1/up/state"), user: "gw-1", denied: data, want: "uuuo", doubt: "mpl",
			oldDoubt: "mpl"},
		"all but the state": {rules: own("topic readwrite lb/gw-1/#", "topic deny lb/gw-1/up/state"), user: "gw-1",
			denied: []string{"state"}, want: "oood", old: "ooou", oldDoubt: "s"},
		"closes": {rules: own("topic readwrite #"), user: "gw-1", front: closes(is("/pump")), denied: []string{"data/pump"},
			want: "odoo", old: "odoo"},
		"closes by client id": {rules: own("topic readwrite #"), user: "gw-1", want: "uuuo", old: "uuuo",
			front: closes(func(clientID, topic string) bool { return !strings.HasPrefix(topic, "lb/"+clientID+"/") })},
		"closes at every other client": {rules: own("topic readwrite #"), user: "gw-1", want: "uuuo", old: "uuuo",
			front: closes(func(clientID, _ string) bool { return clientID != "gw-1" })},
		"closes, and lets nobody read data": {rules: own("topic readwrite #"), user: "gw-1", want: "oooo",
			front: brokertest.Front{Publish: closes(is("/none")).Publish, Listens: func(_, filter string) bool {
				return strings.HasSuffix(filter, "/state") || strings.Contains(filter, "/dn/")
			}}},
		"swallows, and says nothing": {rules: own("topic readwrite #"), user: "gw-1", denied: []string{"data/pump"}, want: "ouoo",
			oldDoubt: "p", front: brokertest.Front{Publish: func(_, topic string) brokertest.Deed {
				if strings.HasSuffix(topic, "/pump") {
					return brokertest.Swallow
				}
				return brokertest.Pass
			}}},
		"swallows of every other client": {rules: own("topic readwrite #"), user: "gw-1", want: "uuuo", oldDoubt: "mpl",
			front: brokertest.Front{Publish: func(clientID, _ string) brokertest.Deed {
				if clientID != "gw-1" {
					return brokertest.Swallow
				}
				return brokertest.Pass
			}}},
	}
}

const mosquittoRules = `pattern write lb/%u/up/#
pattern write lb/%u/dn/probe/+
pattern read lb/%u/dn/#
pattern read lb/%u/up/#
`

// TestVerdictsAreNeverWrong: with rules of every kind, with MQTT 5 and without, a verdict is right or unknown.
func TestVerdictsAreNeverWrong(t *testing.T) {
	order := []string{"data/meter", "data/pump", "log", "state"}
	short := func(is map[string]EchoResult) (verdicts, doubts string) {
		for i, class := range order {
			verdicts += is[class].Verdict[:1]
			if is[class].Doubt {
				doubts += "mpls"[i : i+1]
			}
		}
		return verdicts, doubts
	}
	for name, row := range deliveryRows() {
		for version, old := range map[string]bool{"MQTT 5": false, "3.1.1": true} {
			t.Run(name+", "+version, func(t *testing.T) {
				t.Parallel()
				m := brokertest.Start(t, brokertest.ACL(row.rules))
				row.front.Old = old
				addr := row.front.Listen(t, m.Addr())
				l := linkTo(t, Server{URL: URL("mqtt://" + addr), Username: row.user})
				runLink(t, l)
				awaitUp(t, l)
				is := deliverable(t, l)
				for class, r := range is {
					wrong := map[bool]string{true: EchoOK, false: EchoDenied}[slices.Contains(row.denied, class)]
					if r.Verdict == wrong {
						t.Errorf("%s is %s: wrong", class, r.Verdict)
					}
				}
				want, doubt := row.want, row.doubt
				if old {
					doubt = row.oldDoubt
					if row.old != "" {
						want = row.old
					}
				}
				if verdicts, doubts := short(is); verdicts != want || doubts != doubt {
					t.Errorf("%s, doubts %q; want %s, %q", verdicts, doubts, want, doubt)
				}
				if st := l.Status(); st.Drops != 0 || st.State != StateUp || st.Bytes.Probe == 0 || st.Why != "" {
					t.Errorf("the link was disturbed: %+v", st)
				}
			})
		}
	}
}

// TestATrialOfASize is what a server does with a message of a given size, and with others beside it.
func TestATrialOfASize(t *testing.T) {
	hangUpAbove := func(most int) func(string, int) brokertest.Deed {
		return func(_ string, bytes int) brokertest.Deed {
			if bytes > most {
				return brokertest.HangUp
			}
			return brokertest.Pass
		}
	}
	for name, c := range map[string]struct {
		config string
		front  brokertest.Front
		size   int
		next   int
		want   SizeAnswer
	}{
		"passes":                   {size: 1500, want: SizeAnswer{Passed: true}},
		"passes, and so does more": {size: 1500, next: 3000, want: SizeAnswer{Passed: true, Passes: 3000}},
		"refused": {config: "message_size_limit 1000\n", size: 1500, want: SizeAnswer{Refused: true, Passes: 750,
			Why: "is refused (reason 0x95)"}},
		"refused, and less too": {config: "message_size_limit 1000\n", size: 9000, want: SizeAnswer{Refused: true, Passes: 562,
			Why: "is refused (reason 0x95)"}},
		"more is refused": {config: "message_size_limit 2000\n", size: 1500, next: 3000, want: SizeAnswer{Passed: true}},
		"not heard": {config: "message_size_limit 1000\n", front: brokertest.Front{Old: true}, size: 1500,
			want: SizeAnswer{Refused: true, Passes: 750, Why: "is acknowledged and does not come back"}},
		"heard": {front: brokertest.Front{Old: true}, size: 1500, next: 3000, want: SizeAnswer{Passed: true, Passes: 3000}},
		"closed at": {front: brokertest.Front{Sized: hangUpAbove(1100)}, size: 1500,
			want: SizeAnswer{Refused: true, Passes: 750, Why: "makes the server close the connection"}},
		"closed at, without MQTT 5": {front: brokertest.Front{Old: true, Sized: hangUpAbove(1100)}, size: 1500,
			want: SizeAnswer{Refused: true, Passes: 750, Why: "makes the server close the connection"}},
		"closed at, whatever its size": {front: brokertest.Front{Publish: func(_, topic string) brokertest.Deed {
			if strings.Contains(topic, "/up/data/") {
				return brokertest.HangUp
			}
			return brokertest.Pass
		}}, size: 1500, want: SizeAnswer{Why: "makes the server close the connection"}},
		"nothing is heard": {front: brokertest.Front{Old: true, Publish: func(_, topic string) brokertest.Deed {
			if strings.Contains(topic, "/up/data/") {
				return brokertest.Swallow
			}
			return brokertest.Pass
		}}, size: 1500, want: SizeAnswer{Why: "is acknowledged and does not come back", Deaf: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := brokertest.Start(t, func(port int, dir string) string { return brokertest.Plain(port, dir) + c.config })
			l := linkTo(t, Server{URL: URL("mqtt://" + c.front.Listen(t, m.Addr()))})
			q := SizeQuestion{Topic: "lb/gw-1/up/data/x", Payload: bytes.Repeat([]byte("x"), c.size), Next: c.next,
				Probe: "lb/gw-1/dn/probe/0", Known: 256}
			if a := l.Trials().Size(t.Context(), q); a.Err == nil {
				t.Errorf("before it is up: %+v", a)
			}
			runLink(t, l)
			awaitUp(t, l)
			if a := l.Trials().Size(t.Context(), q); a != c.want {
				t.Errorf("%+v, want %+v", a, c.want)
			}
		})
	}
}
