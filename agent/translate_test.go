package agent

import (
	"reflect"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/config"
	bridge "github.com/linkbeat/linkbeat/firmware-bridge"
	"github.com/linkbeat/linkbeat/firmware-bridge/discover"
	"github.com/linkbeat/linkbeat/firmware-bridge/serialport"
	"github.com/linkbeat/linkbeat/transport"
	"github.com/linkbeat/linkbeat/transport/heartbeat"
)

func linkOptionsOf(t *testing.T, more string) transport.Options {
	t.Helper()
	doc, _, err := config.Parse([]byte("uplink: {servers: [{url: mqtts://a}]}\n"+more), config.ParseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return linkOptions(doc, "gw-7", topicsOf(doc, "gw-7"))
}

func TestLearningByDefault(t *testing.T) {
	o := linkOptionsOf(t, "")
	l := o.Learning
	if l.Mode != heartbeat.Thrifty || l.Min != 20*time.Second || l.Max != 10*time.Minute || l.Probes != 0 || l.After >= 0 ||
		l.Weak != 0 {
		t.Errorf("%+v", l)
	}
	if l.Budget != (heartbeat.BudgetOptions{Month: 1 << 20, Burst: 128 << 10}) || l.Canary != (transport.Canary{}) {
		t.Errorf("%+v %+v", l.Budget, l.Canary)
	}
	if id, topic := l.ClientID(3), l.Topic(3); id != "gw-7-p3" || topic != "lb/gw-7/dn/probe/3" {
		t.Errorf("%q %q", id, topic)
	}
	if !o.AdaptKeep || o.Keepalive != 1170*time.Second || o.Interval != time.Minute {
		t.Errorf("adapt %v, keepalive %v, interval %v", o.AdaptKeep, o.Keepalive, o.Interval)
	}
}

func TestLearningAsConfigured(t *testing.T) {
	o := linkOptionsOf(t, `heartbeat: {learn: fast, min: 5s, max: 2m, probes: 4, probe_after: 0s, probe_client_id: "x{n}-{id}", weak_max: 90s,
  probe_budget: {month: 2MiB, burst: 1MiB}, canary: pair}
topics: {probe: "p/{n}/{id}"}
`)
	l := o.Learning
	if l.Mode != heartbeat.Fast || l.Min != 5*time.Second || l.Max != 2*time.Minute || l.Probes != 4 || l.After != 0 ||
		l.Weak != 90*time.Second || !l.Canary.Pair || l.Budget.Burst != 1<<20 {
		t.Errorf("%+v", l)
	}
	if id, topic := l.ClientID(12), l.Topic(12); id != "x12-gw-7" || topic != "p/12/gw-7" {
		t.Errorf("%q %q", id, topic)
	}
}

func TestWhatTurnsLearningOff(t *testing.T) {
	if l := linkOptionsOf(t, "heartbeat: {learn: off}\n").Learning; l.Mode != heartbeat.Off {
		t.Errorf("%v", l.Mode)
	}
	for text, want := range map[string]transport.Canary{"off": {Off: true}, "7": {Every: 7}, "auto": {}} {
		if got := linkOptionsOf(t, "heartbeat: {canary: "+text+"}\n").Learning.Canary; got != want {
			t.Errorf("canary %s: %+v", text, got)
		}
	}
}

func TestAFixedKeepaliveIsNotAdapted(t *testing.T) {
	doc, _, err := config.Parse([]byte("uplink: {servers: [{url: mqtts://a}], keepalive: 300, keepalive_ceiling: 600s}\n"),
		config.ParseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if o := linkOptions(doc, "gw-7", topicsOf(doc, "gw-7")); o.AdaptKeep || o.Keepalive != 5*time.Minute {
		t.Errorf("adapt %v, keepalive %v", o.AdaptKeep, o.Keepalive)
	}
}

func TestWhichPortAndWhatLine(t *testing.T) {
	doc, _, err := config.Parse([]byte(`uplink: {servers: [{url: mqtts://a}]}
serial:
  a: {usb: {vendor: "0403", product: "6001", serial: A5, interface: 0}, flow: rts_cts}
  b: {usb: {serial: B}, rs485: {mode: kernel, delay_before: 1ms, delay_after: 2ms, invert_rts: true}}
  c: {path: pci-1, rs485: {mode: gpio, chip: gpiochip1, line: 17}}
  d: {port: "rfc2217://10.0.0.5:4001", rs485: {mode: off, delay_after: 1ms}}
`), config.ParseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	all, zero := devicesOf(doc), 0
	for name, want := range map[string]bridge.Options{
		"a": {Select: discover.Selector{Vendor: "0403", Product: "6001", Serial: "A5", Interface: &zero},
			Flow: serialport.FlowRTSCTS},
		"b": {Select: discover.Selector{Serial: "B"},
			RS485: serialport.RS485{Mode: serialport.RS485Kernel, Before: time.Millisecond, After: 2 * time.Millisecond,
				Invert: true}},
		"c": {Select: discover.Selector{ByPath: "pci-1"}, RS485: serialport.RS485{Mode: serialport.RS485GPIO, Chip: "gpiochip1",
			Line: 17}},
		"d": {Port: "rfc2217://10.0.0.5:4001"},
	} {
		got := all[name].bridge
		if got.Port != want.Port || !reflect.DeepEqual(got.Select, want.Select) || got.Flow != want.Flow ||
			got.RS485 != want.RS485 {
			t.Errorf("%s: %+v", name, got)
		}
		got.OnFrame = func(bridge.Frame) error { return nil }
		if _, err := bridge.New(got); err != nil { // whatever check lets through
			t.Error(err)
		}
	}
}
