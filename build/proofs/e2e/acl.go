package e2e

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// ACL runs the rules that `linkbeatctl acl` prints in the real mosquitto: a gateway does all that it needs to, and nothing else.
func ACL(e *kit.Env, t *kit.Table) error {
	ctl := filepath.Join(e.Dir, "linkbeatctl")
	if err := kit.Build(e.Ctx, "cmd/linkbeatctl", ctl); err != nil {
		return err
	}
	for _, c := range []struct {
		name string
		user string // of gw-a
		args []string
	}{
		{"every gateway by its user name", "gw-a", nil},
		{"one gateway with a user name of its own", "meters", []string{"--id", "gw-a", "--user", "meters", "--group", "north"}},
	} {
		rules, err := exec.CommandContext(e.Ctx, ctl, append([]string{"acl", "--for", "mosquitto"}, c.args...)...).Output()
		if err != nil {
			return fmt.Errorf("linkbeatctl acl: %w", err)
		}
		s, err := newACLSite(e, string(rules), c.user)
		if err != nil {
			return err
		}
		t.Check(c.name+": data, replies, state, info, stats, commands, learning", s.works())
		t.Check(c.name+": nothing else arrives", s.writesNothingElse(c.user))
		t.Check(c.name+": nothing else is heard", s.hearsNothingElse(c.user))
		t.Check(c.name+": without the rule for commands, check --online fails", s.missesCommands())
		if err := s.agent.Term(); err != nil {
			return err
		}
	}
	return nil
}

// missesCommands takes away the rule that lets the gateway read its commands: mosquitto grants the subscription all the same.
func (s *aclSite) missesCommands() error {
	bin, err := s.e.BuildAgent("")
	if err != nil {
		return err
	}
	if err := diagnoses(s.e, "acl-whole", 0, bin, "check", "--online", "-c", s.agent.ConfigPath); err != nil {
		return err
	}
	lacking := regexp.MustCompile(`(?m)^(topic|pattern) read lb/\S+/dn/#$`).ReplaceAllString(s.rules, "")
	if lacking == s.rules {
		return fmt.Errorf("there is no such rule in\n%s", s.rules)
	}
	if err := s.broker.Rules(lacking); err != nil {
		return err
	}
	for end := time.Now().Add(10 * time.Second); ; { // until mosquitto has read it
		err = diagnoses(s.e, "acl-lacking", 1, bin, "check", "--online", "-c", s.agent.ConfigPath)
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}

// aclSite is a rig whose subscriber may do what the rules let an operator do, and a watcher who may do all.
type aclSite struct {
	*rig
	watcher *kit.Collector
	rules   string
}

func newACLSite(e *kit.Env, rules, user string) (*aclSite, error) {
	operator := regexp.MustCompile(`(?m)^# (user operator|topic .*)$`)
	if n := len(operator.FindAllString(rules, -1)); n != 5 {
		return nil, fmt.Errorf("%d lines for an operator, want 5:\n%s", n, rules)
	}
	rules = operator.ReplaceAllString(rules, "$1") + "user watcher\ntopic readwrite #\n"
	s := &aclSite{rig: &rig{e: e, ttys: map[string]*kit.Pty{}}, rules: rules}
	var err error
	if s.broker, err = e.Broker(kit.BrokerOptions{ACL: rules}); err != nil {
		return nil, err
	}
	if s.sub, err = s.client("operator", "lb/+/up/#"); err != nil {
		return nil, err
	}
	if s.watcher, err = s.client("watcher", "#"); err != nil {
		return nil, err
	}
	if s.ttys["meter"], err = e.Pty("acl-" + user + "-meter"); err != nil {
		return nil, err
	}
	doc := kit.NewDoc("gw-a", s.broker.URL()).Line("meter", s.ttys["meter"].Port).Set("serial.meter.commands", true).
		Set("uplink.username", user).Set("stats.every", "1s").
		Set("heartbeat", map[string]any{"learn": "fast", "min": "1s", "max": "3s", "probe_after": "0s"})
	s.agent, err = e.Agent(kit.AgentOptions{Doc: doc})
	return s, err
}

func (s *aclSite) client(user string, filters ...string) (*kit.Collector, error) {
	return s.e.Collect(kit.CollectOptions{URL: s.broker.URL(), ID: user + "-client", User: user, Filters: filters})
}

func (s *aclSite) works() error {
	if err := s.ready(); err != nil {
		return err
	}
	if err := s.relays("meter", "hello"); err != nil {
		return err
	}
	if err := s.send("meter", "c1", time.Minute, map[string]any{"text": "x"}); err != nil {
		return err
	}
	if err := s.done("meter", "c1"); err != nil {
		return err
	}
	var last *kit.Status
	err := s.e.Until("all that was learnt, and the reports", 30*time.Second, func() bool {
		st, err := s.agent.Status()
		last = st
		return err == nil && st.Heartbeat.Phase == "settled" && st.Heartbeat.Evidence == "inbound" && st.Why == "" &&
			len(s.sub.Arrivals(s.agent.Topic("up/info"))) > 0 && len(s.sub.Arrivals(s.agent.Topic("up/stats"))) > 0 &&
			strings.Contains(s.lastState(), `"online":true`)
	})
	if err != nil {
		return fmt.Errorf("%w: %+v", err, last)
	}
	return nil
}

// writesNothingElse publishes, as the gateway itself and as another one, what neither may. What is allowed comes last, so that
// all else would have come before it.
func (s *aclSite) writesNothingElse(user string) error {
	common := []string{"lb/gw-c/up/data/meter", "lb/gw-c/up/state", "lb/gw-c/dn/cmd/meter/write", "lb/gw-c/dn/probe/1",
		"lb/group/north/config/desired", "lb/gw-a/dn/cmd/meter/write", "lb/gw-a/dn/config/desired", "lb/gw-a/dn/probe/1/more",
		"lb/x", "x"}
	allowed := []string{"lb/gw-a/dn/probe/7", "lb/gw-a/up/data/acl"}
	if err := s.onlyArrives(user, "gw-a-p9", common, allowed); err != nil {
		return err
	}
	if user != "gw-a" { // the rules are for this gateway alone
		return s.noneArrives("gw-a", append(common, allowed...))
	}
	own := []string{"lb/gw-b/dn/probe/7", "lb/gw-b/up/data/acl"}
	return s.onlyArrives("gw-b", "gw-b", append(common, allowed...), own)
}

// onlyArrives publishes under a user name what is denied, then what is allowed.
func (s *aclSite) onlyArrives(user, id string, denied, allowed []string) error {
	if err := s.publishes(user, id, append(append([]string(nil), denied...), allowed...)); err != nil {
		return err
	}
	return s.arrived("as "+user, allowed)
}

func (s *aclSite) noneArrives(user string, denied []string) error {
	if err := s.publishes(user, user+"-stranger", denied); err != nil {
		return err
	}
	marker := []string{"marker"}
	if err := s.watcher.Publish(s.e.Ctx, marker[0], false, "by acl"); err != nil {
		return err
	}
	return s.arrived("as "+user, marker)
}

// publishes sends each topic as its own payload, behind a word that the agent never says.
func (s *aclSite) publishes(user, id string, topics []string) error {
	c, err := s.e.Collect(kit.CollectOptions{URL: s.broker.URL(), ID: id, User: user})
	if err != nil {
		return err
	}
	defer c.Close()
	for _, topic := range topics {
		if err := c.Publish(s.e.Ctx, topic, false, "by acl"); err != nil {
			return err
		}
	}
	return nil
}

// arrived wants exactly these topics to have come to the watcher since it was asked last.
func (s *aclSite) arrived(who string, want []string) error {
	var got []string
	err := s.e.Until(who+": "+want[len(want)-1], 10*time.Second, func() bool {
		got = nil
		for _, a := range s.watcher.Arrivals() {
			if string(a.Payload) == "by acl" {
				got = append(got, a.Topic)
			}
		}
		return len(got) > 0 && got[len(got)-1] == want[len(want)-1]
	})
	s.watcher.Forget()
	if err == nil && strings.Join(got, " ") != strings.Join(want, " ") {
		err = fmt.Errorf("%s: %v arrived, want %v", who, got, want)
	}
	return err
}

// hearsNothingElse subscribes, as the gateway itself and as another one, to everything, and hears only its own.
func (s *aclSite) hearsNothingElse(user string) error {
	own := []string{"lb/gw-a/up/data/other", "lb/gw-a/dn/cmd/meter/other", "lb/gw-a/up/state", "lb/group/north/config/desired"}
	if err := s.hearsOnly(user, "gw-a-p8", own); err != nil {
		return err
	}
	if user != "gw-a" {
		return s.hearsOnly("gw-a", "gw-a-stranger", nil)
	}
	return s.hearsOnly("gw-b", "gw-b", []string{"lb/group/north/config/desired", "lb/gw-b/dn/last"})
}

func (s *aclSite) hearsOnly(user, id string, want []string) error {
	c, err := s.e.Collect(kit.CollectOptions{URL: s.broker.URL(), ID: id, User: user})
	if err != nil {
		return err
	}
	defer c.Close()
	var granted int
	for _, f := range []string{"#", "lb/#", "lb/+/dn/#", "lb/+/up/#", "lb/gw-a/up/#", "lb/gw-a/dn/#", "lb/gw-a/up/state",
		"lb/gw-b/dn/#", "lb/group/north/config/desired"} {
		if c.Subscribe(s.e.Ctx, f) == nil { // mosquitto may refuse, or grant it and deliver nothing
			granted++
		}
	}
	if granted == 0 && len(want) > 0 {
		return errors.New(user + ": no subscription is granted")
	}
	topics := []string{"lb/gw-a/up/data/other", "lb/gw-a/dn/cmd/meter/other", "lb/gw-a/up/state", "lb/gw-c/dn/cmd/meter/write",
		"lb/x", "lb/group/north/config/desired", "lb/gw-b/dn/last"}
	for _, topic := range topics {
		if err := s.watcher.Publish(s.e.Ctx, topic, false, "by acl"); err != nil {
			return err
		}
	}
	if err := s.arrived("to "+user, topics); err != nil { // the watcher has it all
		return err
	}
	heard := func() map[string]bool {
		all := map[string]bool{}
		for _, a := range c.Arrivals() {
			if string(a.Payload) == "by acl" {
				all[a.Topic] = true
			}
		}
		return all
	}
	err = s.e.Until(fmt.Sprintf("%s to hear %v", user, want), 5*time.Second, func() bool { return len(heard()) >= len(want) })
	s.e.Sleep(100 * time.Millisecond) // for what should not come
	got := heard()
	for _, w := range want {
		if !got[w] {
			err = errors.Join(err, fmt.Errorf("%s did not hear %s", user, w))
		}
	}
	if len(got) > len(want) {
		err = errors.Join(err, fmt.Errorf("%s heard %v, want %v", user, got, want))
	}
	return err
}
