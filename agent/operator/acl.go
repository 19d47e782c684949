package operator

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/linkbeat/linkbeat/agent/wire"
)

// ErrACL is wrapped when rules cannot be written: the broker is not known, or its rules cannot hold a name.
var ErrACL = errors.New("no such rules")

// ACL says for whom [ACL.Rules] are.
type ACL struct {
	Prefix string   // first level or levels of the fleet's topics; if empty, lb
	ID     string   // of one gateway; if empty, the rules are for every gateway, by its user name
	User   string   // of that gateway; if empty, ID
	Groups []string // the groups whose documents a gateway may read; if empty, any

	Region, Account string // of the resource names of AWS; if empty, REGION and ACCOUNT stand there
}

// Brokers are the brokers whose rules are known.
func Brokers() []string { return []string{"mosquitto", "emqx", "aws"} }

// Rules returns the access rules that a broker needs, in its own format. Notes are for people: a format without comments has them
// apart.
func (a ACL) Rules(broker string) (rules, notes string, err error) {
	if a, err = a.withDefaults(); err != nil {
		return "", "", err
	}
	switch broker {
	case "mosquitto":
		return a.mosquitto(), "", nil
	case "emqx":
		return a.emqx(), "", nil
	case "aws":
		return a.aws()
	}
	return "", "", fmt.Errorf("%w: broker %q is not known; known are %s", ErrACL, broker, strings.Join(Brokers(), ", "))
}

func (a ACL) withDefaults() (ACL, error) {
	if a.Prefix = strings.TrimSuffix(a.Prefix, "/"); a.Prefix == "" {
		a.Prefix = "lb"
	}
	if a.User != "" && a.ID == "" {
		return a, fmt.Errorf("%w: a user name needs the id of its gateway: give --id too", ErrACL)
	}
	if a.User == "" {
		a.User = a.ID
	}
	names := map[string][]string{"prefix": strings.Split(a.Prefix, "/"), "group": a.Groups}
	if a.ID != "" {
		names["id"], names["user"] = []string{a.ID}, []string{a.User}
	}
	for what, all := range names {
		for _, name := range all {
			if err := wire.CheckLevel(name); err != nil {
				return a, fmt.Errorf("%w: %s %q %w", ErrACL, what, name, err)
			}
			if i := strings.IndexAny(name, `"\*?%`); i >= 0 {
				return a, fmt.Errorf("%w: %s %q holds %q, which has a meaning of its own in rules: choose another name",
					ErrACL, what, name, name[i])
			}
		}
	}
	return a, nil
}

// grant is what a user may do: publish to topics of a filter, or subscribe to it.
type grant struct {
	publish bool
	filter  string
}

// gateway is what one gateway does. Its probes log in as it does, with client ids of their own.
func (a ACL) gateway(id string) []grant {
	own := a.Prefix + "/" + id
	all := []grant{
		{true, own + "/up/#"},
		{true, own + "/dn/probe/+"},
		{false, own + "/dn/#"},
		{false, own + "/up/#"},
	}
	for _, g := range a.groups() {
		all = append(all, grant{false, a.Prefix + "/group/" + g + "/config/desired"})
	}
	return all
}

func (a ACL) groups() []string {
	if len(a.Groups) == 0 {
		return []string{"+"}
	}
	return a.Groups
}

// operator is what linkbeatctl does.
func (a ACL) operator() []grant {
	return []grant{
		{false, a.Prefix + "/+/up/#"},
		{true, a.Prefix + "/+/dn/cmd/+/+"},
		{true, a.Prefix + "/+/dn/config/desired"},
		{true, a.Prefix + "/group/+/config/desired"},
	}
}

// filters are those of the grants to publish, or to subscribe.
func filters(all []grant, publish bool) (some []string) {
	for _, g := range all {
		if g.publish == publish {
			some = append(some, g.filter)
		}
	}
	return some
}

const mosquittoHead = `# Access rules for linkbeat gateways: mosquitto's acl_file. In mosquitto.conf:
#
#   allow_anonymous false
#   password_file /etc/mosquitto/passwd    # or, with client certificates: use_identity_as_username true
#   acl_file /etc/mosquitto/linkbeat.acl
#
# mosquitto acknowledges what these rules deny, and drops it: a gateway that is missing here notices nothing at first. On the
# gateway, linkbeat check --online finds what is denied.
`

const mosquittoPattern = `#
# %u is the user name, so a gateway's user name (or the CN of its certificate) must be its device.id. The client id, %c, cannot be
# used instead: the probes of gw-17 are connections of its user with the client ids gw-17-p1, gw-17-p2 and so on.
`

func (a ACL) mosquitto() string {
	var b strings.Builder
	b.WriteString(mosquittoHead)
	write := func(begin string, all []grant) {
		for _, g := range all {
			word := "read"
			if g.publish {
				word = "write"
			}
			fmt.Fprintf(&b, "%s %s %s\n", begin, word, g.filter)
		}
	}
	if a.ID == "" {
		b.WriteString(mosquittoPattern)
		write("pattern", a.gateway("%u"))
	} else {
		fmt.Fprintf(&b, "\nuser %s\n", a.User)
		write("topic", a.gateway(a.ID))
	}
	b.WriteString("\n# For users of linkbeatctl: remove the first # of each line and set the user name.\n# user operator\n")
	write("# topic", a.operator())
	return b.String()
}

const emqxHead = `%% Access rules for linkbeat gateways: EMQX 5, acl.conf (authorization source "file"). In emqx.conf:
%%
%%   authorization.no_match = deny
%%   authorization.deny_action = ignore    # with disconnect, a gateway that may not probe loses its connection once
%%
%% With ignore, EMQX acknowledges what these rules deny, and drops it: a gateway that is missing here notices nothing at first. On
%% the gateway, linkbeat check --online finds what is denied.
`

const emqxPattern = `%%
%% ${username} must be the device.id of a gateway. ${clientid} cannot be used instead: the probes of gw-17 are connections of its
%% user with the client ids gw-17-p1, gw-17-p2 and so on.
`

func (a ACL) emqx() string {
	var b strings.Builder
	b.WriteString(emqxHead)
	write := func(begin, who string, all []grant) {
		for _, publish := range []bool{true, false} {
			word := "subscribe"
			if publish {
				word = "publish"
			}
			var quoted []string
			for _, f := range filters(all, publish) {
				quoted = append(quoted, strconv.Quote(f))
			}
			fmt.Fprintf(&b, "%s{allow, %s, %s, [%s]}.\n", begin, who, word, strings.Join(quoted, ", "))
		}
	}
	if a.ID == "" {
		b.WriteString(emqxPattern)
		write("", "all", a.gateway("${username}"))
	} else {
		b.WriteString("\n")
		write("", fmt.Sprintf("{username, %q}", a.User), a.gateway(a.ID))
	}
	b.WriteString("\n%% For users of linkbeatctl: remove the first %% of each line and set the user name.\n")
	write("%% ", `{username, "operator"}`, a.operator())
	b.WriteString("\n{deny, all}.\n")
	return b.String()
}

// slash is a filter as resource names of AWS write it: * stands for anything.
func slash(all ...string) []string {
	all = slices.Clone(all)
	for i, f := range all {
		all[i] = strings.NewReplacer("+", "*", "#", "*").Replace(f)
	}
	return all
}
