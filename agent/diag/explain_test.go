package diag

import (
	"errors"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/config"
	"github.com/linkbeat/linkbeat/transport/diagnose"
)

var (
	noon   = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	sample = facts{host: "broker.example.net", id: "gw-7", trial: "gw-7-p4711", user: "gw",
		tls: config.TLS{CertFile: "/etc/gw.crt"}}
)

// TestEveryFaultHasAHint wants a next step for whatever a step can fail with, and no placeholder left.
func TestEveryFaultHasAHint(t *testing.T) {
	for step, faults := range map[string][]diagnose.Fault{
		diagnose.StepDNS: {diagnose.FaultNoName, diagnose.FaultNoDNS, diagnose.FaultSilence},
		diagnose.StepTCP: {diagnose.FaultRefused, diagnose.FaultUnreachable, diagnose.FaultSilence,
			diagnose.FaultPermission},
		diagnose.StepProxy:     {diagnose.FaultProxy, diagnose.FaultProxyLogin, diagnose.FaultClosed, diagnose.FaultSilence},
		diagnose.StepWebSocket: {diagnose.FaultWebSocket, diagnose.FaultClosed},
		diagnose.StepTLS: {diagnose.FaultNoTLS, diagnose.FaultClosed, diagnose.FaultSilence, diagnose.FaultAuthority,
			diagnose.FaultName, diagnose.FaultExpired, diagnose.FaultClock, diagnose.FaultCertificate, diagnose.FaultOurs,
			diagnose.FaultAlert, diagnose.FaultFiles},
		diagnose.StepConnect: {diagnose.FaultVersion, diagnose.FaultClientID, diagnose.FaultUnavailable, diagnose.FaultLogin,
			diagnose.FaultNotAllowed, diagnose.FaultClosed, diagnose.FaultSilence, diagnose.FaultNoMQTT, diagnose.FaultOurs,
			diagnose.FaultFiles, diagnose.FaultKeepalive, diagnose.FaultLasting, diagnose.FaultWill, diagnose.FaultRetain,
			diagnose.FaultTogether},
		diagnose.StepRetained:  {diagnose.FaultRetain, diagnose.FaultClosed, diagnose.FaultSilence},
		diagnose.StepSize:      {diagnose.FaultSize},
		diagnose.StepSubscribe: {diagnose.FaultDenied, diagnose.FaultClosed, diagnose.FaultSilence},
		diagnose.StepEcho:      {diagnose.FaultDenied},
	} {
		for _, fault := range faults {
			got := explain(diagnose.Step{Name: step, Fault: fault}, sample, noon)
			if got.Status != Fail || got.Hint == "" || got.Hint == sample.fill(hints()[""]) || strings.Contains(got.Hint, "{") {
				t.Errorf("%s %s: %+v", step, fault, got)
			}
		}
	}
	if got := explain(diagnose.Step{Name: "tcp", Fault: diagnose.FaultOther}, sample,
		noon); !strings.Contains(got.Hint, "gw-7-p4711") {
		t.Errorf("%+v", got)
	}
}

func TestExplain(t *testing.T) {
	cert := func(ours bool, left time.Duration) diagnose.Cert {
		return diagnose.Cert{Ours: ours, Subject: "x", Issuer: "ca", NotBefore: noon.Add(-time.Hour), NotAfter: noon.Add(left)}
	}
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		step   diagnose.Step
		status Status
		text   string
		hint   string
	}{
		"well": {diagnose.Step{Name: "tcp", Text: "answers"}, OK, "answers", ""},
		"unheard": {diagnose.Step{Name: "topics", Verdict: diagnose.EchoUnknown}, Warn, "",
			"allow user gw to subscribe"},
		"long to go": {diagnose.Step{Name: "tls", Certs: []diagnose.Cert{cert(false, 61*day), cert(true, 200*day)}}, OK,
			`server's "x" by "ca" has 61 days left; ours "x" by "ca" has 200 days left`, ""},
		"server's soon": {diagnose.Step{Name: "tls", Certs: []diagnose.Cert{cert(false, 5*day), cert(true, 200*day)}}, Warn,
			"5 days left", "broker.example.net"},
		"ours is over": {diagnose.Step{Name: "tls", Certs: []diagnose.Cert{cert(false, 50*day), cert(true, -3*day)}}, Warn,
			"expired 3 days ago", "/etc/gw.crt"},
		"to be valid": {diagnose.Step{Name: "tls", Fault: diagnose.FaultClock, Certs: []diagnose.Cert{
			{NotBefore: noon.Add(day), NotAfter: noon.Add(2 * day)}}}, Fail, "valid from 2026-11-22", "timedatectl"},
	} {
		t.Run(name, func(t *testing.T) {
			got := explain(c.step, sample, noon)
			if got.Status != c.status || !strings.Contains(got.Text, c.text) || !strings.Contains(got.Hint, c.hint) ||
				(c.hint == "") != (got.Hint == "") {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestInterfaceStep(t *testing.T) {
	addr := func(s string) []netip.Addr { return []netip.Addr{netip.MustParseAddr(s)} }
	lo := Interface{Name: "lo", Up: true, Loopback: true, Addrs: addr("127.0.0.1")}
	eth := Interface{Name: "eth0", Up: true, Addrs: addr("10.0.0.2")}
	down := Interface{Name: "wwan0", Addrs: addr("10.9.0.2")}
	bare := Interface{Name: "eth1", Up: true, Addrs: addr("fe80::1")}
	for name, c := range map[string]struct {
		all    []Interface
		err    error
		wanted []string
		local  bool
		status Status
		text   string
	}{
		"one is up": {[]Interface{lo, eth, down, bare}, nil, nil, false, OK, "eth0 10.0.0.2"},
		"none": {[]Interface{lo, down, bare}, nil, nil, false, Fail,
			"wwan0 is down, eth1 has no address, there is none but loopback"},
		"none, and none needed": {[]Interface{lo}, nil, nil, true, Warn, "loopback"},
		"configured":            {[]Interface{lo, eth, down}, nil, []string{"eth0"}, false, OK, "eth0 10.0.0.2"},
		"one of them is down": {[]Interface{lo, eth, down}, nil, []string{"wwan0", "eth0"}, false, Warn,
			"eth0 10.0.0.2, wwan0 is down"},
		"no such":     {[]Interface{lo, eth}, nil, []string{"eht0"}, false, Fail, "eht0 does not exist"},
		"cannot look": {nil, errors.New("netlink"), nil, false, Warn, "netlink"},
	} {
		t.Run(name, func(t *testing.T) {
			s := interfaceStep(c.all, c.err, c.wanted, c.local)
			if s.Status != c.status || !strings.Contains(s.Text, c.text) ||
				(s.Status == Fail) != (s.Hint != "" && s.Status == Fail) {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestRouteStep(t *testing.T) {
	for name, c := range map[string]struct {
		host   string
		isName bool
		from   []string
		err    error
		status Status
		text   string
	}{
		"address":             {"192.0.2.1", false, []string{"10.0.0.2"}, nil, OK, "to 192.0.2.1 from 10.0.0.2"},
		"address, no way":     {"192.0.2.1", false, nil, syscall.ENETUNREACH, Fail, "no route to 192.0.2.1"},
		"name":                {"broker", true, []string{"10.0.0.2"}, syscall.ENETUNREACH, OK, "default route from 10.0.0.2"},
		"name, no default":    {"broker", true, nil, syscall.ENETUNREACH, Warn, "no default route"},
		"this machine":        {"localhost", true, nil, syscall.ENETUNREACH, OK, "none is needed"},
		"address, forbidden ": {"192.0.2.1", false, nil, syscall.EPERM, Fail, "not permitted"},
	} {
		if s := routeStep(c.host, c.isName, c.from, c.err); s.Status != c.status || !strings.Contains(s.Text, c.text) ||
			(s.Status == OK) != (s.Hint == "") {
			t.Errorf("%s: %+v", name, s)
		}
	}
}
