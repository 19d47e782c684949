package probe_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linkbeat/linkbeat/agent/probe"
	"github.com/linkbeat/linkbeat/config"
	"github.com/linkbeat/linkbeat/transport/transporttest"
)

// measured runs a measurement through a NAT in memory, in fake time.
func measured(t *testing.T, h transporttest.Hooks, nat transporttest.NATOptions, o probe.Options,
	within time.Duration) (r probe.Result, progress string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := transporttest.NewNetwork()
		broker := transporttest.NewBroker(h)
		l, err := n.Listen("broker:1883")
		if err != nil {
			t.Fatal(err)
		}
		broker.Serve(l)
		defer n.Close()
		defer broker.Close()
		nat.Latency = 40 * time.Millisecond
		o.Server, o.Dial = "broker", transporttest.NewNAT(n, nat).Dial
		ctx, cancel := context.WithTimeout(t.Context(), within)
		defer cancel()
		var out bytes.Buffer
		if r, err = probe.Measure(ctx, o, &out); err != nil {
			t.Fatal(err)
		}
		progress = out.String()
	})
	return r, progress
}

func TestMeasuresTheLimit(t *testing.T) {
	const limit = 200 * time.Second
	for behaviour, kind := range map[transporttest.Behaviour]string{transporttest.LooseRST: "loose",
		transporttest.Strict: "strict"} {
		r, progress := measured(t, transporttest.Hooks{}, transporttest.NATOptions{Idle: limit, Behaviour: behaviour},
			probe.Options{}, 2*time.Hour)
		if r.Err() != nil || r.PathKind != kind || r.Evidence != "inbound" || r.Drops > 0 || r.Tests == 0 || r.CostBytes == 0 {
			t.Errorf("%+v", r)
		}
		if r.ProvenS > limit.Seconds() || r.ProvenS < 0.95*limit.Seconds() || r.FailingS < limit.Seconds()-0.5 ||
			r.IntervalS >= r.ProvenS {
			t.Errorf("limit %v: proven %v, failing %v, interval %v", limit, r.ProvenS, r.FailingS, r.IntervalS)
		}
		if !strings.Contains(progress, "learning, proven 3m") || !strings.Contains(progress, "settled") {
			t.Errorf("progress:\n%s", progress)
		}
	}
}

func TestNoLimitUpToTheLongestOfInterest(t *testing.T) {
	r, _ := measured(t, transporttest.Hooks{}, transporttest.NATOptions{}, probe.Options{Min: time.Second, Max: 30 * time.Second},
		time.Hour)
	if r.Err() != nil || r.FailingS != 0 || r.IntervalS < 29.7 || r.IntervalS > 30 {
		t.Errorf("%+v", r)
	}
	var table strings.Builder
	if err := r.Render(&table); err != nil || !strings.Contains(table.String(),
		"nothing up to the longest beat of interest, 30s") {
		t.Errorf("%v\n%s", err, &table)
	}
}

func TestSaysWhyItCannotMeasure(t *testing.T) {
	noProbes := func(_ string, m transporttest.Message) transporttest.Answer {
		if strings.Contains(m.Topic, "probe") {
			return transporttest.Swallow
		}
		return transporttest.Take
	}
	for name, c := range map[string]struct {
		hooks  transporttest.Hooks
		limit  time.Duration
		within time.Duration
		why    string
	}{
		"wrong password": {transporttest.Hooks{OnConnect: func(transporttest.Connect) byte { return 4 }}, 0, time.Hour,
			"wrong user name or password"},
		"server is busy": {transporttest.Hooks{OnConnect: func(transporttest.Connect) byte { return 3 }}, 0, time.Hour,
			"unavailable"},
		"probes are denied": {transporttest.Hooks{OnPublish: noProbes}, 0, time.Hour, "learning is not possible"},
		"limit below min":   {transporttest.Hooks{}, 10 * time.Second, time.Hour, "choose a shorter silence to begin with"},
		"limit at min":      {transporttest.Hooks{}, 20200 * time.Millisecond, time.Hour, "choose a shorter one"},
		"interrupted":       {transporttest.Hooks{}, 0, 5 * time.Second, "interrupted"},
	} {
		t.Run(name, func(t *testing.T) {
			r, progress := measured(t, c.hooks, transporttest.NATOptions{Idle: c.limit, Behaviour: transporttest.Strict},
				probe.Options{}, c.within)
			if n := strings.Count(progress, "\n"); n > 40 {
				t.Errorf("%d lines of progress", n)
			}
			if name == "wrong password" && r.ElapsedS > 5 {
				t.Errorf("noticed after %v s", r.ElapsedS)
			}
			if r.Settled || r.Err() == nil || !strings.Contains(r.Why, c.why) {
				t.Errorf("%+v\n%s", r, progress)
			}
			var table strings.Builder
			if err := r.Render(&table); err != nil || !strings.Contains(table.String(), "none is known to be safe") ||
				!strings.Contains(table.String(), c.why) {
				t.Errorf("%v\n%s", err, &table)
			}
		})
	}
}

func TestOptionsThatCannotBe(t *testing.T) {
	for name, o := range map[string]probe.Options{
		"no server":         {},
		"topic without {n}": {Server: "broker", Topic: "probe/{id}"},
		"wildcard":          {Server: "broker", Topic: "probe/+/{n}"},
		"max below min":     {Server: "broker", Min: time.Minute, Max: time.Second},
		"no such scheme":    {Server: "gopher://broker"},
	} {
		if _, err := probe.Measure(t.Context(), o, &bytes.Buffer{}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestWithADocument wants names that the broker's rules for the gateway allow, and that its running agent does not use.
func TestWithADocument(t *testing.T) {
	doc, _, err := config.Parse([]byte(`uplink: {servers: [{url: "mqtts://a"}, {url: "mqtts://b"}], username: gw, password: x, tls: {ca_file: /ca}}
heartbeat: {min: 30s, max: 5m}
`), config.ParseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	o, err := probe.Options{}.With(doc, "gw-7")
	if err != nil || o.Server != "mqtts://a" || o.Username != "gw" || o.TLS.CAFile != "/ca" || o.Min != 30*time.Second ||
		o.Max != 5*time.Minute {
		t.Errorf("%+v, %v", o, err)
	}
	if o.ClientID != "gw-7-probe" || o.ProbeID != "gw-7-probe-p{n}" || !strings.HasPrefix(o.Topic, "lb/gw-7/dn/probe/probe-") ||
		!strings.HasSuffix(o.Topic, "-{n}") {
		t.Errorf("%q %q %q", o.ClientID, o.ProbeID, o.Topic)
	}
	if o, err := (probe.Options{Server: "mqtts://b", Username: "me"}).With(doc, "gw-7"); err != nil || o.Server != "mqtts://b" ||
		o.Username != "me" {
		t.Errorf("%+v, %v", o, err)
	}
	if _, err := (probe.Options{Server: "mqtts://elsewhere"}).With(doc, "gw-7"); err == nil {
		t.Error("the login goes to a server that the document does not name")
	}
}
