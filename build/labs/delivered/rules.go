package delivered

import (
	"fmt"
	"strings"
	"time"
)

// ruleSet is one shape of access rules, which lets a gateway publish its data or does not.
type ruleSet struct {
	name  string
	acl   string
	user  string
	allow bool
}

// ruleSets are those of the issue, each where it fits the gateway and where it does not.
func ruleSets() []ruleSet {
	exact := func(topics ...string) string {
		acl := "user {id}\ntopic readwrite lb/{id}/dn/#\n"
		for _, topic := range topics {
			acl += "topic readwrite lb/{id}/up/" + topic + "\n"
		}
		return acl
	}
	return []ruleSet{
		{"by %u that fits", "pattern readwrite lb/%u/#\n", "", true},
		{"by %u of another name", "pattern readwrite lb/%u/#\n", "meters", false},
		{"by %c that fits", "pattern readwrite lb/%c/#\n", "", true},
		{"by %c of another tree", "pattern readwrite site/%c/#\n", "", false},
		{"by %c, read by %u", "pattern write lb/%c/#\npattern read lb/%u/#\n", "", true},
		{"exact topics", exact("state", "info", "stats", "data/meter"), "", true},
		{"exact topics without the device's", exact("state", "info", "stats"), "", false},
		{"exact topics without any but the device's", "user {id}\ntopic write lb/{id}/up/data/meter\n", "", true},
		{"write only", "user {id}\ntopic write lb/{id}/up/#\ntopic write lb/{id}/dn/#\n", "", true},
		{"write only, without the device's", "user {id}\ntopic write lb/{id}/up/state\ntopic write lb/{id}/dn/#\n", "", false},
		{"nothing at all", "user nobody\ntopic readwrite #\n", "", false},
	}
}

// rulesParts tries each with and without MQTT 5: the verdict is right or unknown, never wrong.
func rulesParts() (all []part) {
	for i, r := range ruleSets() {
		for _, old := range []bool{false, true} {
			name := "rules " + r.name + map[bool]string{false: ", MQTT 5", true: ", MQTT 3.1.1 alone"}[old]
			all = append(all, part{name: name, run: func(l lab) error {
				return r.run(l, name, fmt.Sprintf("gw-r%d%v", i, old), old)
			}})
		}
	}
	return all
}

// verdictWithin is how long a verdict may take: what is new waits so long, and a trial that is closed at goes topic by topic.
const verdictWithin = 20 * time.Second

func (r ruleSet) run(l lab, name, id string, old bool) error {
	s, err := l.at(id, place{acl: r.acl, user: r.user, front: &front{old: old}})
	if s != nil {
		defer s.end()
	}
	if err != nil {
		return err
	}
	began := time.Now()
	if err := s.start(); err != nil {
		return err
	}
	var st struct {
		ACL map[string]string `json:"acl"`
		Why string            `json:"why"`
	}
	verdict := ""
	l.wait(verdictWithin, func() bool { // none is a row
		_ = s.agent.StatusInto(&st)
		verdict = st.ACL["data"]
		return verdict != ""
	})
	after := time.Since(began)
	l.Sleep(time.Second)
	_ = s.agent.StatusInto(&st)
	s.quiet()
	patience := 10 * time.Second
	if !r.allow {
		patience = time.Second
	}
	c, err := s.settle(patience)
	if err != nil {
		return err
	}
	right := map[bool]string{true: "ok", false: "denied"}[r.allow]
	note := fmt.Sprintf("said %q after %.1f s, is %q; %v; why %q", verdict, after.Seconds(), right, c, st.Why)
	wrong := 0
	if verdict != right && verdict != "unknown" {
		wrong = 1
	}
	s.t.Exactly("1 "+name+": verdicts that are wrong", wrong, 0, "", note)
	lost := 0
	switch {
	case r.allow:
		lost = c.missing()
	case verdict == "denied":
		lost = c.lost() // of what nobody can tell anything the agent publishes, and says so
	}
	s.t.Exactly("1 "+name+": frames lost", max(0, lost), 0, "", note)
	if verdict == "unknown" && !r.allow {
		s.t.Check("1 "+name+": why says that nobody can tell", said(find(st.Why, "nobody can tell"), "nobody can tell", s.seen))
	}
	_ = s.agent.StatusInto(&st)
	out, code, err := s.command(time.Minute, "diag")
	if err != nil {
		return err
	}
	suffers := 0
	switch {
	case verdict == "unknown": // it warns
		return nil
	case st.Why != "":
		suffers = 1
	}
	s.t.Exactly("1 "+name+": diag exits", code, suffers, "", fmt.Sprintf("why %q; %s", st.Why, worst(out)))
	return nil
}

// find is the text, if it has the part.
func find(text, part string) string {
	if strings.Contains(text, part) {
		return text
	}
	return ""
}
