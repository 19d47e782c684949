package operator_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/linkbeat/linkbeat/agent/operator"
)

func rules(t *testing.T, a operator.ACL, broker string) (lines []string, notes string) {
	t.Helper()
	text, notes, err := a.Rules(broker)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line != "" && line[0] != '#' && line[0] != '%' {
			lines = append(lines, line)
		}
	}
	return lines, notes
}

// What mosquitto makes of it is seen in build/proofs/e2e.
func TestRules(t *testing.T) {
	for name, tt := range map[string]struct {
		a      operator.ACL
		broker string
		want   []string
	}{
		"mosquitto, everybody": {operator.ACL{}, "mosquitto", []string{
			"pattern write lb/%u/up/#", "pattern write lb/%u/dn/probe/+", "pattern read lb/%u/dn/#",
			"pattern read lb/%u/up/#", "pattern read lb/group/+/config/desired"}},
		"mosquitto, one": {operator.ACL{Prefix: "acme/eu/", ID: "gw-17", User: "meters",
			Groups: []string{"north", "all"}}, "mosquitto", []string{
			"user meters", "topic write acme/eu/gw-17/up/#", "topic write acme/eu/gw-17/dn/probe/+",
			"topic read acme/eu/gw-17/dn/#", "topic read acme/eu/gw-17/up/#", "topic read acme/eu/group/north/config/desired",
			"topic read acme/eu/group/all/config/desired"}},
		"emqx, everybody": {operator.ACL{}, "emqx", []string{
			`{allow, all, publish, ["lb/${username}/up/#", "lb/${username}/dn/probe/+"]}.`,
			`{allow, all, subscribe, ["lb/${username}/dn/#", "lb/${username}/up/#", "lb/group/+/config/desired"]}.`,
			`{deny, all}.`}},
		"emqx, one": {operator.ACL{ID: "gw-17"}, "emqx", []string{
			`{allow, {username, "gw-17"}, publish, ["lb/gw-17/up/#", "lb/gw-17/dn/probe/+"]}.`,
			`{allow, {username, "gw-17"}, subscribe, ["lb/gw-17/dn/#", "lb/gw-17/up/#", "lb/group/+/config/desired"]}.`,
			`{deny, all}.`}},
	} {
		t.Run(name, func(t *testing.T) {
			if got, _ := rules(t, tt.a, tt.broker); !slices.Equal(got, tt.want) {
				t.Errorf("\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

func TestAWSPolicy(t *testing.T) {
	const thing = "${iot:Connection.Thing.ThingName}"
	for name, tt := range map[string]struct {
		a             operator.ACL
		id, arn, note string
	}{
		"things": {operator.ACL{}, thing, "arn:aws:iot:REGION:ACCOUNT:", "EXCLUSIVE_THING"},
		"one": {operator.ACL{ID: "gw-17", Region: "eu-west-1", Account: "123456789012"}, "gw-17",
			"arn:aws:iot:eu-west-1:123456789012:", "topic/lb/*/dn/cmd/*/*"},
	} {
		t.Run(name, func(t *testing.T) {
			text, notes, err := tt.a.Rules("aws")
			if err != nil {
				t.Fatal(err)
			}
			var p struct {
				Version   string
				Statement []struct {
					Effect           string
					Action, Resource []string
				}
			}
			if err := json.Unmarshal([]byte(text), &p); err != nil || p.Version != "2012-10-17" {
				t.Fatalf("%v, version %q", err, p.Version)
			}
			got := map[string][]string{}
			for _, s := range p.Statement {
				if s.Effect != "Allow" || len(s.Action) != 1 {
					t.Errorf("%+v", s)
				}
				got[s.Action[0]] = s.Resource
			}
			for action, want := range map[string][]string{
				"iot:Connect":       {"client/ID", "client/ID-p*"},
				"iot:Publish":       {"topic/lb/ID/up/*", "topic/lb/ID/dn/probe/*"},
				"iot:RetainPublish": {"topic/lb/ID/up/*"},
				"iot:Subscribe": {"topicfilter/lb/ID/dn/*", "topicfilter/lb/ID/up/*",
					"topicfilter/lb/group/*/config/desired"},
				"iot:Receive": {"topic/lb/ID/dn/*", "topic/lb/ID/up/*", "topic/lb/group/*/config/desired"},
			} {
				for i, w := range want {
					want[i] = tt.arn + strings.ReplaceAll(w, "ID", tt.id)
				}
				if !slices.Equal(got[action], want) {
					t.Errorf("%s: %v, want %v", action, got[action], want)
				}
			}
			if !strings.Contains(notes, tt.note) || strings.Contains(notes, "REGION") != (tt.a.Region == "") {
				t.Errorf("notes: %s", notes)
			}
			if n := len(strings.Join(strings.Fields(text), "")); n > 2048 { // AWS IoT Core: white space does not count
				t.Errorf("%d characters, AWS takes 2048", n)
			}
		})
	}
}

func TestRulesThatNobodyCanWrite(t *testing.T) {
	for name, c := range map[string]struct {
		a      operator.ACL
		broker string
	}{
		"unknown broker":         {operator.ACL{}, "rabbitmq"},
		"no broker":              {operator.ACL{}, ""},
		"wildcard in the id":     {operator.ACL{ID: "+"}, "mosquitto"},
		"wildcard of AWS":        {operator.ACL{ID: "gw*"}, "aws"},
		"quote in the user":      {operator.ACL{ID: "gw", User: `a"b`}, "emqx"},
		"line in the user":       {operator.ACL{ID: "gw", User: "a\ntopic write #"}, "mosquitto"},
		"variable in the group":  {operator.ACL{Groups: []string{"%u"}}, "mosquitto"},
		"levels in the group":    {operator.ACL{Groups: []string{"a/b"}}, "mosquitto"},
		"empty level of the lot": {operator.ACL{Prefix: "a//b"}, "mosquitto"},
		"user without a gateway": {operator.ACL{User: "meters"}, "mosquitto"},
	} {
		if _, _, err := c.a.Rules(c.broker); !errors.Is(err, operator.ErrACL) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
