package delivery

import (
	"fmt"
	"slices"
	"strings"

	"github.com/linkbeat/linkbeat/transport"
)

// namesMost is how many topics are named.
const namesMost = 5

// Advice is what a sentence needs to say what to do next.
type Advice struct {
	ID     string   // of the gateway
	Prefix string   // of the fleet's topics; empty: they have another shape than linkbeatctl acl prints rules for
	Groups []string // of the gateway

	broker string // as linkbeatctl acl names it
}

// at is the advice for a server: which broker it is, its name may tell.
func (a Advice) at(login string) Advice {
	if a.broker = "mosquitto"; strings.Contains(login, ".amazonaws.com") {
		a.broker = "aws"
	}
	return a
}

// command prints the rules that the gateway needs; empty: none does.
func (a Advice) command(user string) string {
	if a.Prefix == "" {
		return ""
	}
	text := "linkbeatctl acl --for " + a.broker + " --id " + quoted(a.ID)
	if user != "" && user != a.ID {
		text += " --user " + quoted(user)
	}
	if a.Prefix != "lb" {
		text += " --prefix " + quoted(a.Prefix)
	}
	for _, g := range a.Groups {
		text += " --group " + quoted(g)
	}
	return text
}

// quoted is s as a shell takes it.
func quoted(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:@+,", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func whose(user string) string {
	if user == "" {
		return "a gateway without a user name"
	}
	return fmt.Sprintf("user %q", user)
}

// some names the first of the topics, and counts the others.
func some(topics []transport.EchoTopic) string {
	switch n := len(topics) - 1; n {
	case 0:
		return topics[0].Topic
	case 1:
		return topics[0].Topic + " and 1 more topic"
	default:
		return fmt.Sprintf("%s and %d more topics", topics[0].Topic, n)
	}
}

// denied begins why: user, topic, how many wait, and the command that prints the rules.
func (a Advice) denied(topics []transport.EchoTopic, user, waits string) string {
	text := fmt.Sprintf("the server's access rules refuse %s to %s: ", some(topics), whose(user))
	if waits != "" && slices.ContainsFunc(topics, spooled) {
		text += waits + "; "
	} else if slices.ContainsFunc(topics, spooled) {
		text += "it is held until they allow it; "
	}
	return text + "allow it: " + a.rules(user, "publish to "+topics[0].Topic)
}

// rules says where the rules are that are needed, or what they must allow.
func (a Advice) rules(user, need string) string {
	switch c := a.command(user); {
	case c != "" && a.broker == "mosquitto":
		return c + " prints the rules (--for emqx those of EMQX)"
	case c != "":
		return c + " prints the rules"
	}
	return "the rules must let the gateway " + need
}

// spooled reports whether what goes there waits in a spool.
func spooled(t transport.EchoTopic) bool { return t.Class == ClassData || t.Class == ClassReply }

// doubt says that nobody can tell.
func (a Advice) doubt(topics []transport.EchoTopic, user, why string) string {
	if why != "" {
		why = " (it " + why + ")"
	}
	return fmt.Sprintf("nobody can tell whether the server delivers %s%s: let %s subscribe to its own topics, so that it can be "+
		"heard: %s", some(topics), why, whose(user), a.rules(user, "subscribe to "+topics[0].Topic))
}

// mute says that commands may not arrive: rules may allow them and deny only what is tried, but nobody would want that.
func (a Advice) mute(probe transport.EchoTopic, user string) string {
	own := probe.Topic
	if a.Prefix != "" {
		own = a.Prefix + "/" + a.ID + "/dn/#"
	}
	return fmt.Sprintf("commands may not reach this gateway: the server accepts what %s publishes to %s, and does not deliver "+
		"it back; let it read %s: %s", whose(user), probe.Topic, own, a.rules(user, "read "+own))
}

// deaf says what an old rule set lacks.
func (a Advice) deaf(topic, user string) string {
	own := topic
	if a.Prefix != "" {
		own = a.Prefix + "/" + a.ID + "/up/#"
	}
	return fmt.Sprintf("the server's access rules do not let %s subscribe to %s, so it cannot hear what the server delivers: %s",
		whose(user), own, a.rules(user, "subscribe to "+own))
}

// The classes of topics that wait in a spool.
const (
	ClassData  = "data"
	ClassReply = "reply"
)

func names(topics []transport.EchoTopic, most int) (all []string) {
	for _, t := range topics[:min(len(topics), most)] {
		all = append(all, t.Topic)
	}
	return all
}

// mute is the topic that shows that commands may not arrive; nil: they do, or nobody can tell.
func (p *page) mute() *transport.EchoTopic {
	for _, e := range p.entries {
		if e.topic.Class == transport.ClassCommands && e.verdict == transport.EchoDenied {
			return &e.topic
		}
	}
	return nil
}

// sorts are the topics that are denied, those of devices first, and those that a person should know nobody can tell of.
func (p *page) sorts() (denied, doubts []transport.EchoTopic) {
	keys := make([]string, 0, len(p.entries))
	for name, e := range p.entries {
		key := "1 " + name
		if spooled(e.topic) {
			key = "0 " + name
		}
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		switch e := p.entries[key[2:]]; {
		case e.topic.Class == transport.ClassCommands:
		case e.verdict == transport.EchoDenied:
			denied = append(denied, e.topic)
		case e.verdict == transport.EchoUnknown && e.doubt:
			doubts = append(doubts, e.topic)
		}
	}
	return denied, doubts
}

// classes are the worst verdict of each class.
func (p *page) classes() map[string]string {
	worse := []string{transport.EchoOK, transport.EchoUnknown, transport.EchoDenied}
	all := map[string]string{}
	for _, e := range p.entries {
		if e.verdict != "" && slices.Index(worse, e.verdict) >= slices.Index(worse, all[e.topic.Class]) {
			all[e.topic.Class] = e.verdict
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all
}
