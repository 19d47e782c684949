package operator

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/agent/wire"
	"github.com/linkbeat/linkbeat/transport"
	"github.com/linkbeat/linkbeat/transport/capped"
	"github.com/linkbeat/linkbeat/transport/secretfile"
)

// Errors that callers branch on.
var (
	// ErrNoServer: no broker was named.
	ErrNoServer = errors.New("no broker is named: give --server mqtt://host:1883 or set LINKBEATCTL_SERVER")
	// ErrArgument: a value of Options, or a name that was given, cannot be used; no broker was asked.
	ErrArgument = errors.New("wrong argument")
	// ErrUnreachable: the broker does not answer, or refuses us. The text around it says why, and what to look at.
	ErrUnreachable = errors.New("no session with the broker")
	// ErrNoReply: a command was sent, and no reply came in time.
	ErrNoReply = errors.New("no reply")
)

// How an operator's link is kept: it is watched by a person, so it notices death soon and tries again soon.
const (
	defaultConnectWithin = 15 * time.Second
	operatorInterval     = 30 * time.Second
	operatorDetect       = 15 * time.Second
	operatorKeepalive    = 60 * time.Second
	operatorMaxBackoff   = 10 * time.Second
	operatorMaxPacket    = wire.MaxPayload + 64<<10 // and its topic
	listingMaxPacket     = 1 << 20                  // of a state or an info, which have a few KiB
)

// URL is that of a broker; it shows no secret.
type URL = transport.URL

// Options say where the broker is and who we are. Only Server has no default.
type Options struct {
	Server       URL  // mqtt://host:1883; mqtts, ws, wss; without a scheme it is mqtt, or mqtts: see transport.URLGiven
	Insecure     bool // a login may be sent without TLS to another machine
	Username     string
	Password     string // if empty, PasswordFile
	PasswordFile string // if empty, no password; a newline at its end is not part of it
	CAFile       string // PEM; if empty, the system's certificates
	CertFile     string
	KeyFile      string
	ClientID     string      // if empty, linkbeatctl- and 8 random hex digits
	Topics       wire.Topics // with {id}; the zero value means wire.DefaultTopics

	ConnectWithin time.Duration // until Connect gives up; if zero, 15 s
	// called at each later loss and return of the broker; may be nil
	Notice func(string)
	Dial   func(ctx context.Context, network, addr string) (net.Conn, error) // nil: real TCP

	maxPacket int // bytes that one packet may have; if zero, operatorMaxPacket
}

func (o Options) withDefaults() (Options, error) {
	if o.Server == "" {
		return o, ErrNoServer
	}
	o.Server = transport.URLGiven(o.Server.Reveal(), o.CAFile != "" || o.CertFile != "")
	if o.Server.Exposes(o.Username != "") && !o.Insecure {
		return o, fmt.Errorf("%w: --server %s has no TLS, so whoever is on the path could read the login: use mqtts:// or "+
			"wss://, or --insecure if it has to be so", ErrArgument, o.Server.Name())
	}
	if o.ClientID == "" {
		o.ClientID = "linkbeatctl-" + randomHex(4)
	}
	if o.Topics == (wire.Topics{}) {
		o.Topics = wire.DefaultTopics()
	}
	if o.ConnectWithin <= 0 {
		o.ConnectWithin = defaultConnectWithin
	}
	if o.Notice == nil {
		o.Notice = func(string) {}
	}
	return o, nil
}

// link translates o.
func (o Options) link() transport.Options {
	return transport.Options{
		ClientID: o.ClientID, CleanSession: true, MaxPacket: cmp.Or(o.maxPacket, operatorMaxPacket),
		Servers: []transport.Server{{URL: o.Server, Username: o.Username, Password: o.password(),
			TLS: transport.TLSOptions{CAFile: o.CAFile, CertFile: o.CertFile, KeyFile: o.KeyFile}}},
		DetectWithin: operatorDetect, Interval: operatorInterval, Keepalive: operatorKeepalive,
		Backoff: transport.Backoff{Max: operatorMaxBackoff, Refused: operatorMaxBackoff},
		Dial:    o.Dial,
	}
}

// password is asked for at each dial; nil leaves what the URL says.
func (o Options) password() func() (string, error) {
	switch {
	case o.Password != "":
		return func() (string, error) { return o.Password, nil }
	case o.PasswordFile != "":
		return func() (string, error) {
			p, err := secretfile.Read(o.PasswordFile, capped.Password)
			if err != nil {
				return "", fmt.Errorf("--password-file: %w", err)
			}
			return strings.TrimRight(string(p), "\r\n"), nil
		}
	}
	return nil
}

// open says which of our files with secrets others can read, and how to mend that.
func (o Options) open() (all []string) {
	for _, f := range [][2]string{{"--password-file", o.PasswordFile}, {"--key", o.KeyFile}} {
		if mode, ok := secretfile.Mode(f[1]); ok {
			if why := secretfile.Open(f[1], mode); why != "" {
				all = append(all, f[0]+": "+why)
			}
		}
	}
	return all
}

// TopicsFrom returns the default topics with another first level or levels than "lb", and some templates ("data", "cmd", …
// with {id} and {name}) replaced.
func TopicsFrom(prefix string, templates map[string]string) (wire.Topics, error) {
	t := wire.DefaultTopics()
	prefix = strings.TrimSuffix(prefix, "/")
	for level := range strings.SplitSeq(prefix, "/") {
		if err := wire.CheckLevel(level); err != nil {
			return t, fmt.Errorf("prefix %q: a level %w", prefix, err)
		}
	}
	byName := map[string]*string{"state": &t.State, "info": &t.Info, "data": &t.Data, "reply": &t.Reply, "cmd": &t.Cmd}
	for _, p := range byName {
		*p = prefix + strings.TrimPrefix(*p, "lb")
	}
	for name, template := range templates {
		p := byName[name]
		if p == nil {
			return t, fmt.Errorf("topic %q is not known; known are state, info, data, reply and cmd", name)
		}
		*p = template
		if !strings.Contains(template, "{id}") || (p == &t.Data || p == &t.Reply || p == &t.Cmd) &&
			!strings.Contains(template, "{name}") {
			return t, fmt.Errorf("topic %s=%s lacks {id} or {name}: copy it from the gateways' configuration", name, template)
		}
	}
	return t, nil
}

// randomHex returns n random bytes as hex digits.
func randomHex(n int) string {
	p := make([]byte, n)
	_, _ = rand.Read(p) // it never fails (crypto/rand)
	return hex.EncodeToString(p)
}

// checkNames says whether a gateway and a serial device of it can be named so; empty stands for all where may is true.
func checkNames(device, name string, may bool) error {
	for _, part := range [][2]string{{"device", device}, {"name", name}} {
		if part[1] == "" && may {
			continue
		}
		if err := wire.CheckLevel(part[1]); err != nil {
			return fmt.Errorf("%w: %s %q %w", ErrArgument, part[0], part[1], err)
		}
	}
	return nil
}
