package estimate

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/agent/statuspage"
	"github.com/linkbeat/linkbeat/agent/wire"
	"github.com/linkbeat/linkbeat/config"
)

// quiet is a gateway that says as little as can be: no device, no stats, no log, and a beat a minute.
const quiet = `
device: {id: gw}
uplink: {servers: [{url: "mqtt://b"}]}
heartbeat: {learn: "off", interval: 60s}
stats: {every: 0s}
log: {ship: "off"}
`

// doc is a document, with changes to the quiet one as path=value.
func doc(t *testing.T, src string) *config.Document {
	t.Helper()
	d, _, err := config.Parse([]byte(src), config.ParseOptions{Env: func(string) (string, bool) { return "", false }})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func row(t *testing.T, e Estimate, cause string) Range {
	t.Helper()
	for _, r := range e.Rows {
		if r.Cause == cause {
			return r.Range
		}
	}
	t.Fatalf("no row %q in %+v", cause, e.Rows)
	return Range{}
}

const (
	device = "serial: {m: {port: /dev/ttyS1%}}\n"

	// Counted by hand.
	birth = len(
		`{"online":true,"session":1000,"epoch":"3f2a9c1e","since":1795208591123,"version":"v1.0.0","server":"mqtt://b"}`)
	state     = 3 + (2 + 14 + 2 + birth)                         // lb/gw/up/state; a length of 128 takes two bytes
	connect   = 3 + 10 + (2 + 2) + (2 + 14 + 2 + birth + 1)      // gw; will topic, will
	subscribe = 2 + 2 + (2 + 14 + 1) + (2 + 20 + 1) + 2*(2+22+1) // lb/gw/dn/cmd/+/write, request and console
	session   = connect + 4 + subscribe + (2 + 2 + 4) + 3*(state+4)
)

func TestKnownAnswers(t *testing.T) {
	with := func(options string) string { return quiet + strings.Replace(device, "%", options, 1) }
	replace := func(old, new string) string {
		if !strings.Contains(quiet, old) {
			t.Fatalf("no %q", old)
		}
		return strings.Replace(quiet, old, new, 1)
	}
	for _, tt := range []struct {
		name  string
		src   string
		a     Assumptions
		cause string
		want  int64
	}{
		// 43200 minutes; 30 reports of the info put a beat off by half an interval each.
		{"a beat a minute", quiet, Assumptions{}, Pings, (43200 - 15) * (2 + 2)},
		{"every tenth beat is a stats publish", replace(`interval: 60s`, `interval: 60s, report: 10`), Assumptions{}, Pings,
			(43200 - 15) * (2 + 2) * 9 / 10},
		// 4318.5 of them
		{"and what that costs", replace(`interval: 60s`, `interval: 60s, report: 10`), Assumptions{}, Stats,
			(8637*(3+2+14+2+1600+4) + 1) / 2},
		{"no beat exceeds the keepalive", replace(`servers: [{url: "mqtt://b"}]`, `servers: [{url: "mqtt://b"}], keepalive: 30`),
			Assumptions{}, Pings, (86400 - 15) * (2 + 2)},
		{"stats every 15 minutes, QoS 0", replace("every: 0s", "every: 15m"), Assumptions{}, Stats, 2880 * (3 + 2 + 14 + 1600)},
		{"sessions", quiet, Assumptions{}, Handshakes, 30 * int64(session)},
		{"two a day", quiet, Assumptions{Reconnects: 2}, Handshakes, 60 * int64(session)},
		// three births and a will with one more s
		{"with TLS", replace("mqtt:", "mqtts:"), Assumptions{}, Handshakes, 30 * int64(session+4+4000)},
		{"with WebSocket", replace("mqtt://b", "ws://bbb"), Assumptions{}, Handshakes, 30 * int64(session+400)},
		{"with a login", replace(`"mqtt://b"}]`, `"mqtt://b", insecure_login: true}], username: ada, password: x`),
			Assumptions{}, Handshakes, 30 * int64(session+(2+3)+(2+24))},
		{"dialled anew each day", replace(`"mqtt://b"}]`, `"mqtt://b"}], max_session: 1d`), Assumptions{}, Handshakes,
			60 * int64(session)},
		{"a frame of 60 bytes a minute", with(""), Assumptions{}, "telemetry m", 43200 * (3 + 2 + 15 + 2 + 122 + 4)},
		{"as hex", with(", encoding: hex"), Assumptions{}, "telemetry m", 43200 * (3 + 2 + 15 + 2 + 181 + 4)},
		{"as base64", with(", encoding: base64"), Assumptions{}, "telemetry m", 43200 * (3 + 2 + 15 + 2 + 144 + 4)},
		{"raw", with(", format: raw"), Assumptions{}, "telemetry m", 43200 * (2 + 2 + 15 + 2 + 60 + 4)},
		{"senml", with(", format: senml"), Assumptions{}, "telemetry m", 43200 * (3 + 2 + 15 + 2 + 148 + 4)},
		{"100 frames of 10 bytes a day", with(", format: raw"), Assumptions{FramesPerDay: 100, FrameBytes: 10}, "telemetry m",
			3000 * (2 + 2 + 15 + 2 + 10 + 4)},
		{"a batch with nothing to gather", with(", batch: {frames: 50}"), Assumptions{}, "telemetry m",
			43200 * (3 + 2 + 15 + 2 + 124 + 4)},
		// One a second: a batch leaves after 3 s with write_after: 5s, so it has 4.
		{"a batch of 4", with(", batch: {frames: 50}"), Assumptions{FramesPerDay: 86400}, "telemetry m",
			648000 * (3 + 2 + 15 + 2 + (1 + 4*123) + 4)},
		{"a batch of 10, full", with(", batch: {frames: 10}") + "spool: {write_after: 1m}\n", Assumptions{FramesPerDay: 86400},
			"telemetry m", 259200 * (3 + 2 + 15 + 2 + (1 + 10*123) + 4)},
		{"a batch of 8, in bytes", with(", batch: {bytes: 1000}") + "spool: {write_after: 1m}\n",
			Assumptions{FramesPerDay: 86400}, "telemetry m", 324000 * (3 + 2 + 15 + 2 + (1 + 8*123) + 4)},
		{"no commands without a device that takes any", with(""), Assumptions{}, Commands, 0},
		{"commands", with(", commands: true"), Assumptions{Commands: 1}, Commands, 30 * int64(
			2+2+len("lb/gw/dn/cmd/m/write")+
				2+len(`{"id":"01hf3kq8v2x7c9d4e5f6","expires":1795208591123,"hex":"00000000000000000000"}`)+4+
				2+2+len("lb/gw/up/reply/m")+2+len(`{"id":"01hf3kq8v2x7c9d4e5f6","ok":true}`)+4)},
		// a tenth
		{"the whole log budget in 1 KiB", replace(`ship: "off"`, `ship: warn, ship_budget: 64KiB`), Assumptions{}, Logs,
			192 * (3 + 2 + 12 + 2 + 1024 + 4)},
		{"no probes without learning", quiet, Assumptions{}, Probes, 0},
		// A segment of 52 bytes and one that acknowledges it: 10 packets of a session, 2 of its info, 2 of a
		// beat; and 7 of TCP alone.
		{"headers", quiet, Assumptions{}, Headers, 30*(10+2)*104 + 30*7*52 + (43200-15)*2*104},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := row(t, Of(doc(t, tt.src), tt.a), tt.cause)
			if got.Expected != tt.want {
				t.Errorf("%s: %d, want %d", tt.cause, got.Expected, tt.want)
			}
		})
	}
}

func TestWhatIsOpenIsARange(t *testing.T) {
	learning := strings.Replace(quiet, `{learn: "off", interval: 60s}`, `{learn: thrifty, min: 20s, max: 500s, canary: "off"}`, 1)
	e := Of(doc(t, learning), Assumptions{})
	// Once info is sent, a beat every 500, 100 and 20 s. Of 1, 4 and 4 infos a session each puts half a beat off;
	// sessions are doubled by re-dials.
	for cause, want := range map[string]Range{
		Pings:      {(5184 - 15) * 4, (25920 - 120) * 4, (129600 - 120) * 4},
		Handshakes: {30 * int64(session), 60 * int64(session), 60 * int64(session)},
		Logs:       {},
	} {
		got := row(t, e, cause)
		if near := func(a, b int64) bool { return math.Abs(float64(a-b)) <= 8 }; !near(got.Low, want.Low) ||
			!near(got.Expected, want.Expected) || !near(got.High, want.High) {
			t.Errorf("%s: %+v, want %+v", cause, got, want)
		}
	}
	if p := row(t, e, Probes); p.Low <= 0 || p.Expected <= p.Low || p.High <= p.Expected {
		t.Errorf("probes: %+v", p)
	}
	known := Of(doc(t, learning), Assumptions{Interval: 100 * time.Second})
	if p := row(t, known, Pings); p.Expected != p.High || p.Expected != row(t, e, Pings).Expected {
		t.Errorf("a beat that is known: %+v", p)
	}
	logs := row(t, Of(doc(t, strings.Replace(quiet, `ship: "off"`, `ship: warn, ship_budget: 64KiB`, 1)), Assumptions{}), Logs)
	if logs.Low != 0 || logs.High != 1920*(3+2+12+2+1024+4) {
		t.Errorf("logs: %+v", logs)
	}
}

// TestAProbeBudgetIsNeverExceeded counts all that probes cost, headers included, as the budget does.
func TestAProbeBudgetIsNeverExceeded(t *testing.T) {
	for _, url := range []string{"mqtt://b", "mqtts://b", "wss://b/mqtt"} {
		d := doc(t, strings.Replace(strings.Replace(quiet, `learn: "off"`, `learn: fast`, 1), "mqtt://b", url, 1))
		n := newNet(d)
		n.probes(d, packets{d: d, topics: topicsOf(d)}, scenario{interval: time.Minute, tests: math.Inf(1)}, 30)
		if sum := n.bytes[Probes] + n.bytes[Headers]; math.Abs(sum-(1<<20)) > 1 {
			t.Errorf("%s: %v, want 1 MiB", url, sum)
		}
	}
}

// TestCanaries cost a nonce that comes back and a ping at every Nth beat, and no budget.
func TestCanaries(t *testing.T) {
	d := doc(t, strings.Replace(quiet, `learn: "off"`, `learn: fast, probe_budget: {month: 0, burst: 0}, canary: 10`, 1))
	n := newNet(d)
	n.probes(d, packets{d: d, topics: topicsOf(d)}, scenario{interval: time.Minute, tests: 3, canary: 10}, 30)
	if got, want := n.bytes[Probes], 4320.0*((2+2+16+2+16)+4+(2+2+16+16)+2+2); got != want { // lb/gw/dn/probe/1
		t.Errorf("%v, want %v", got, want)
	}
}

func TestTotalsAndOrder(t *testing.T) {
	full := quiet + `
serial:
  b: {port: /dev/ttyS1, batch: {frames: 20}, compress: gzip, commands: true}
  a: {port: /dev/ttyS2, frame: {type: idle, gap: 20ms}}
`
	for _, learn := range []string{`"off"`, "thrifty", "fast"} {
		for _, url := range []string{"mqtt://b", "mqtts://b", "ws://b/mqtt"} {
			src := strings.NewReplacer(`learn: "off"`, "learn: "+learn, "mqtt://b", url, `ship: "off"`, "ship: warn", "every: 0s",
				"every: 1h").Replace(full)
			e := Of(doc(t, src), Assumptions{})
			var sum Range
			var order []string
			for _, r := range e.Rows {
				order = append(order, r.Cause)
				sum = Range{sum.Low + r.Low, sum.Expected + r.Expected, sum.High + r.High}
			}
			if want := "handshakes,pings,telemetry a,telemetry b,commands,stats,info,logs,probes,headers"; strings.Join(order,
				",") != want {
				t.Errorf("%v", order)
			}
			if sum != e.Total || sum.Low > sum.Expected || sum.Expected > sum.High || sum.Low <= 0 {
				t.Errorf("%s %s: %+v, rows %+v", learn, url, e.Total, sum)
			}
			if more := Of(doc(t, src), Assumptions{FramesPerDay: 2880}); more.Total.Low <= e.Total.Low {
				t.Errorf("%s %s: more frames cost less: %+v, %+v", learn, url, more.Total, e.Total)
			}
		}
	}
}

func TestBatchesCompress(t *testing.T) {
	for _, s := range []sample{{encoding: wire.Text, size: 60}, {encoding: wire.Hex, size: 60}} {
		plain := s.batch(50)
		s.gzip = true
		if packed := s.batch(50); packed < plain/5 || packed > plain*2/3 {
			t.Errorf("%s: %d of %d bytes", s.encoding, packed, plain)
		}
		if many := s.batch(5000); many < 70*s.batch(50) || many > 100*s.batch(50) {
			t.Errorf("%s: 5000 frames in %d bytes, 50 in %d", s.encoding, many, s.batch(50))
		}
	}
}

// TestStatsAreAsLargeAsTheyAre fills in a status document, so that a larger one is noticed here.
func TestStatsAreAsLargeAsTheyAre(t *testing.T) {
	for _, devices := range []int{0, 3} {
		s := statuspage.Status{Serial: map[string]statuspage.Serial{}}
		fill(reflect.ValueOf(&s).Elem())
		s.Serial, s.Facts = map[string]statuspage.Serial{}, nil
		for i := range devices {
			var one statuspage.Serial
			fill(reflect.ValueOf(&one).Elem())
			s.Serial[string(rune('a'+i))] = one
		}
		p, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if guess := statsBytes + devices*statsDevice; len(p) < guess/2 || len(p) > guess*2 {
			t.Errorf("%d devices: %d bytes, estimated %d", devices, len(p), guess)
		}
	}
}

// fill gives every figure five digits, and every word a few letters.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for _, f := range v.Fields() {
			fill(f)
		}
	case reflect.Int, reflect.Int64:
		v.SetInt(12345)
	case reflect.Float64:
		v.SetFloat(12.345)
	case reflect.String:
		v.SetString("some words")
	}
}

func TestRender(t *testing.T) {
	src := strings.Replace(quiet, `"mqtt://b"}]`, `"mqtt://b"}], budget: {month: 5MiB}`, 1) + strings.Replace(device, "%", "", 1)
	e := Of(doc(t, src), Assumptions{})
	var b strings.Builder
	if err := e.Render(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"bytes a month                       low     expected         high\n",
		"telemetry m                    6.10 MiB     6.10 MiB     6.10 MiB\n",
		"commands                              -            -            -\n",
		"of uplink.budget, 5.00 MiB        ",
		"- a beat every 1m: heartbeat.learn is off\n",
		"- 1440 frames of 60 bytes a day",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, &b)
		}
	}
	if !e.Over() || e.Share(5<<20) != 1 || (Estimate{Total: Range{Expected: 1}}).Over() {
		t.Errorf("over %v, share %v", e.Over(), e.Share(5<<20))
	}
}

func TestPollsOfUnits(t *testing.T) {
	bus := func(unit, rest string) Estimate {
		return Of(doc(t, "uplink: {servers: [{url: mqtt://h}]}\nserial: {bus: {port: /dev/ttyS0"+rest+", units: {u: {address: 1"+
			unit+", registers: {a: {address: 0}, b: {address: 1, kind: coil}}}}}}\n"), Assumptions{})
	}
	row := func(e Estimate) int64 {
		for _, r := range e.Rows {
			if r.Cause == "telemetry bus" {
				return r.Expected
			}
		}
		t.Fatalf("no row in %+v", e.Rows)
		return 0
	}
	slow, fast := row(bus(", every: 10s", "")), row(bus(", every: 1s", ""))
	if slow < 259200*100 || fast != 10*slow {
		t.Errorf("a poll in 10 s: %d bytes, in 1 s: %d", slow, fast)
	}
	if n := row(bus(", every: 1s, report: change", "")); n != slow {
		t.Errorf("on change: %d", n)
	}
	if n := row(bus(", every: 1s", ", batch: {frames: 4}, compress: gzip")); n >= fast/2 {
		t.Errorf("batches, compressed: %d of %d", n, fast)
	}
}
