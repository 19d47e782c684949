// Package probe measures a path from the shell: how long may a connection to a server stay silent before something on the way
// forgets it? It runs a link of its own, without state, memory or devices, until that has learnt the answer.
package probe

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/agent/wire"
	"github.com/linkbeat/linkbeat/config"
	"github.com/linkbeat/linkbeat/transport"
	"github.com/linkbeat/linkbeat/transport/capped"
	"github.com/linkbeat/linkbeat/transport/heartbeat"
	"github.com/linkbeat/linkbeat/transport/secretfile"
)

const (
	defaultMin    = heartbeat.DefaultMin
	defaultMax    = heartbeat.DefaultMax
	detectWithin  = 15 * time.Second // a person watches
	longKeepalive = 1170 * time.Second
	maxBackoff    = 10 * time.Second
	defaultTopic  = "linkbeat/probe/{id}/{n}"
	noLimit       = 1 << 30 // bytes a month: who asks for a measurement pays for it
)

// ErrOptions is wrapped by what Measure returns when the Options are wrong: nothing was measured, and nothing connected to.
var ErrOptions = errors.New("this cannot be measured")

// Options say what to measure. Only Server has no default.
type Options struct {
	Server   transport.URL // mqtt, mqtts, ws, wss; without a scheme it is mqtt, or mqtts: see transport.URLGiven
	Insecure bool          // a login may be sent without TLS to another machine
	Withhold bool          // of With: neither a login nor the URL's query is sent
	Username string
	Password func() (string, error) // asked at each dial; nil: none
	TLS      config.TLS

	ClientID string // of the session that publishes; if empty, <host name>-probe-<random>
	ProbeID  string // template of the probe sessions' client ids, with {n}; if empty, <ClientID>-p{n}
	Topic    string // template with {n}, and {id} for ClientID; if empty, linkbeat/probe/{id}/{n}

	Thrifty bool          // one connection at a time, instead of many side by side
	Min     time.Duration // shortest silence of interest; if zero, 20 s
	Max     time.Duration // longest beat of interest; if zero, 10 m

	Dial func(ctx context.Context, network, addr string) (net.Conn, error) // nil: real TCP
}

// With fills in what o leaves open from d, the configuration of the gateway id: its first server if o names none. Names are such
// that the broker's rules for the gateway allow them, and that a running agent is not disturbed.
func (o Options) With(d *config.Document, id string) (Options, error) {
	u, h := &d.Uplink, d.Heartbeat
	if o.Server == "" {
		o.Server = u.Servers[0].URL // a document without servers is none
	}
	at := slices.IndexFunc(u.Servers, func(s config.Server) bool { return s.URL == o.Server })
	if at < 0 { // as completion offers it
		at = slices.IndexFunc(u.Servers, func(s config.Server) bool { return s.URL.Name() == o.Server.Reveal() })
	}
	if at < 0 {
		return o, errors.New("this server is not one of uplink.servers, and their login is for them only: leave out -c")
	}
	login := u.With(u.Servers[at])
	o.Server, o.Insecure = login.URL, o.Insecure || login.InsecureLogin
	o.Withhold = u.Withheld(u.Servers[at]) && o.Username == "" && !o.Insecure
	o.ClientID = id + "-probe"
	o.ProbeID = wire.Expand(h.ProbeClientID, "id", o.ClientID)
	if o.Topic == "" {
		o.Topic = wire.Expand(wire.Expand(d.Topics.Probe, "id", id), "n", "probe-"+randomHex(2)+"-{n}")
	}
	if o.Username == "" {
		o.Username = login.Username
	}
	if o.Password == nil {
		o.Password = login.ReadPassword
	}
	if o.TLS.CAFile == "" {
		o.TLS.CAFile = login.TLS.CAFile
	}
	if o.TLS.CertFile == "" {
		o.TLS.CertFile, o.TLS.KeyFile = login.TLS.CertFile, login.TLS.KeyFile
	}
	o.TLS.ServerName, o.TLS.ALPN = login.TLS.ServerName, login.TLS.ALPN
	o.Min, o.Max = h.Min.Std(), h.Max.Std()
	return o, nil
}

// PasswordFrom reads the first line of file at each call; nil when no file is named.
func PasswordFrom(file string) func() (string, error) {
	if file == "" {
		return nil
	}
	return func() (string, error) {
		p, err := secretfile.Read(file, capped.Password)
		if err != nil {
			return "", fmt.Errorf("--password-file: %w", err)
		}
		line, _, _ := strings.Cut(string(p), "\n")
		return strings.TrimSuffix(line, "\r"), nil
	}
}

func (o Options) withDefaults() (Options, error) {
	if o.Server == "" {
		return o,
			errors.New("no server is named: give its URL, such as mqtts://broker.example.net:8883, or a configuration with -c")
	}
	o.Server = transport.URLGiven(o.Server.Reveal(), o.TLS.CAFile != "" || o.TLS.CertFile != "")
	if o.Server.Exposes(o.Username != "") && !o.Insecure && !o.Withhold {
		return o, fmt.Errorf("%s has no TLS, so whoever is on the path could read the login: use mqtts:// or wss://, or "+
			"--insecure if it has to be so", o.Server.Name())
	}
	if o.ClientID == "" {
		o.ClientID = hostName() + "-probe-" + randomHex(4)
	}
	if o.ProbeID == "" {
		o.ProbeID = o.ClientID + "-p{n}"
	}
	if o.Topic == "" {
		o.Topic = defaultTopic
	}
	o.Topic = wire.Expand(o.Topic, "id", o.ClientID)
	if !strings.Contains(o.Topic, "{n}") || strings.ContainsAny(o.Topic, "+#") {
		return o, fmt.Errorf("topic %q needs {n}, and no wildcards: each probe has a topic of its own", o.Topic)
	}
	if o.Min <= 0 {
		o.Min = defaultMin
	}
	if o.Max <= 0 {
		o.Max = max(defaultMax, o.Min)
	}
	if o.Max < o.Min {
		return o, fmt.Errorf("the longest silence (%v) is below the shortest (%v)", o.Max, o.Min)
	}
	return o, nil
}

// link translates o. The CONNECT value is such that no server hangs up on a silence of interest.
func (o Options) link(notify func(transport.Event)) transport.Options {
	mode := heartbeat.Fast
	if o.Thrifty {
		mode = heartbeat.Thrifty
	}
	numbered := func(template string) func(int) string {
		return func(n int) string { return wire.Expand(template, "n", strconv.Itoa(n)) }
	}
	return transport.Options{
		ClientID: o.ClientID, CleanSession: true, DetectWithin: detectWithin, Interval: o.Min, Notify: notify, Dial: o.Dial,
		Servers: []transport.Server{{URL: o.Server, Username: o.Username, Password: o.Password, Withhold: o.Withhold,
			TLS: transport.TLSOptions{CAFile: string(o.TLS.CAFile), CertFile: string(o.TLS.CertFile),
				KeyFile: string(o.TLS.KeyFile), ServerName: o.TLS.ServerName, ALPN: o.TLS.ALPN}}},
		Keepalive: max(longKeepalive, o.Max.Round(time.Second)+time.Second), AdaptKeep: true,
		Backoff: transport.Backoff{Max: maxBackoff, Refused: maxBackoff},
		Learning: transport.Learning{Mode: mode, Min: o.Min, Max: o.Max, ClientID: numbered(o.ProbeID), Topic: numbered(o.Topic),
			Budget: heartbeat.BudgetOptions{Month: noLimit}, Canary: transport.Canary{Off: true}},
	}
}

// hostName is the machine's name, as far as it can be a level of a topic.
func hostName() string {
	name, err := os.Hostname()
	if err != nil || wire.CheckLevel(name) != nil {
		return "linkbeat"
	}
	return name
}

// randomHex returns n random bytes as hex digits.
func randomHex(n int) string {
	p := make([]byte, n)
	_, _ = rand.Read(p) // it never fails (crypto/rand)
	return hex.EncodeToString(p)
}
