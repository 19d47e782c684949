package operator_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linkbeat/linkbeat/agent/operator"
	"github.com/linkbeat/linkbeat/agent/wire"
	"github.com/linkbeat/linkbeat/transport/transporttest"
)

// fleet is a broker in memory, spoken to as gateways would.
type fleet struct {
	net    *transporttest.Network
	broker *transporttest.Broker
	o      operator.Options

	mu      sync.Mutex
	notices []string
}

func bubble(t *testing.T, h transporttest.Hooks, f func(t *testing.T, fl *fleet)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		fl := &fleet{net: transporttest.NewNetwork(), broker: transporttest.NewBroker(h)}
		fl.o = operator.Options{Server: "broker", Dial: fl.net.Dial, Username: "ada", Insecure: true, Notice: func(s string) {
			fl.mu.Lock()
			defer fl.mu.Unlock()
			fl.notices = append(fl.notices, s)
		}}
		fl.serve(t)
		defer fl.net.Close()
		defer fl.broker.Close()
		f(t, fl)
	})
}

func (f *fleet) serve(t *testing.T) {
	t.Helper()
	l, err := f.net.Listen("broker:1883")
	if err != nil {
		t.Fatal(err)
	}
	f.broker.Serve(l)
}

// say publishes as a gateway.
func (f *fleet) say(topic, payload string, retain bool) {
	f.broker.Publish(transporttest.Message{Topic: topic, Payload: []byte(payload), QoS: 1, Retain: retain})
}

// tail collects printed lines while during runs.
func (f *fleet) tail(t *testing.T, format operator.Format, o operator.TailOptions,
	during func()) (out, notes string, c operator.Counts) {
	t.Helper()
	var w, n strings.Builder
	p := operator.Printer{Out: &w, Notes: &n, Format: format}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		synctest.Wait()
		during()
		time.Sleep(operator.Patience) // what is missing is told then
		synctest.Wait()
		cancel()
	}()
	c, err := operator.Tail(ctx, f.o, o, p.Print)
	if err != nil {
		t.Error(err)
	}
	return w.String(), n.String(), c
}

func record(seq uint64, text string) []byte {
	body, _ := wire.NewBody([]byte(text), wire.Text)
	return wire.Record{Seq: seq, TS: 1795208591123, Epoch: "3f2a9c1e", Body: body}.Append(nil)
}

func TestTail(t *testing.T) {
	bubble(t, transporttest.Hooks{}, func(t *testing.T, f *fleet) {
		out, notes, counts := f.tail(t, operator.Text, operator.TailOptions{}, func() {
			f.say("lb/gw/up/data/meter", string(record(1, "one\x1b[31m")), false)
			f.say("lb/gw/up/data/meter", string(record(1, "one\x1b[31m")), false)
			f.say("lb/gw/up/data/meter", string(wire.AppendBatch(nil, record(2, "two"), record(4, "four"))), false)
			f.say("lb/gw/up/data/meter/gz", string(wire.Gzip(wire.AppendBatch(nil, record(5, "five")))), false)
			f.say("lb/gw/up/data/meter", `{"seq":9,"ts":1,"epoch":"3f2a9c1e","gap":{"from":6,"to":8,"reason":"full"}}`, false)
			f.say("lb/other/up/data/gps", "$GPGGA", false)
			f.say("lb/gw/up/data/meter/gz", "not gzip", false)
			f.say("lb/gw/up/reply/meter", "not data", false)
		})
		want := `2026-11-20T21:03:11.123Z gw/meter #1 one\x1b[31m
2026-11-20T21:03:11.123Z gw/meter #2 two
2026-11-20T21:03:11.123Z gw/meter #4 four
2026-11-20T21:03:11.123Z gw/meter #5 five
! gw/meter lost on the gateway: numbers 6 to 8 (full)
-                        other/gps $GPGGA
! gw/meter missing: number 3 of epoch 3f2a9c1e did not arrive
`
		if out != want {
			t.Errorf("got\n%swant\n%s", out, want)
		}
		if !strings.HasPrefix(notes, "! gw/meter payload on lb/gw/up/data/meter/gz cannot be read: gzip: ") {
			t.Errorf("notes %s", notes)
		}
		if want := (operator.Counts{Frames: 4, Duplicates: 1, Gaps: 1, Lost: 3, Holes: 1}); counts != want {
			t.Errorf("counts %+v, want %+v", counts, want)
		}
	})
}

func TestTailFormats(t *testing.T) {
	for _, tt := range []struct {
		format           operator.Format
		wantOut, wantErr string
	}{
		{operator.JSON, `{"device":"gw","name":"meter","seq":1,"ts":1795208591123,"epoch":"3f2a9c1e","text":"<one>"}
{"device":"gw","name":"meter","seq":3,"ts":1795208591123,"epoch":"3f2a9c1e","text":"three"}
{"device":"gw","name":"raw","base64":"/wA="}
{"device":"gw","name":"meter","hole":{"epoch":"3f2a9c1e","from":2,"to":2}}
`, ""},
		{operator.Raw, "<one>\nthree\n\xff\x00\n", "! gw/meter missing: number 2 of epoch 3f2a9c1e did not arrive\n"},
	} {
		bubble(t, transporttest.Hooks{}, func(t *testing.T, f *fleet) {
			out, notes, _ := f.tail(t, tt.format, operator.TailOptions{Device: "gw"}, func() {
				f.say("lb/gw/up/data/meter", string(record(1, "<one>")), false)
				f.say("lb/gw/up/data/meter", string(record(3, "three")), false)
				f.say("lb/gw/up/data/raw", "\xff\x00", false)
				f.say("lb/other/up/data/raw", "not asked for", false)
			})
			if out != tt.wantOut || notes != tt.wantErr {
				t.Errorf("got\n%swant\n%snotes\n%swant\n%s", out, tt.wantOut, notes, tt.wantErr)
			}
		})
	}
}

func TestTailOfSenML(t *testing.T) {
	bubble(t, transporttest.Hooks{}, func(t *testing.T, f *fleet) {
		out, _, c := f.tail(t, operator.Text, operator.TailOptions{}, func() {
			const pack = `[{"bn":"gw/boiler/","bt":1795208591.123,"n":"on","vb":true,"seq":1,"epoch":"3f2a9c1e"},{"n":"u","u":"V","v":230.4}]`
			f.say("lb/gw/up/data/boiler", pack, false)
			f.say("lb/gw/up/data/boiler", pack, false)
		})
		if out != "2026-11-20T21:03:11.123Z gw/boiler #1 {\"values\":{\"on\":true,\"u\":230.4}}\n" || c.Duplicates != 1 {
			t.Errorf("got %s %+v", out, c)
		}
	})
}

func TestTailOfOneDeviceInAnotherTree(t *testing.T) {
	bubble(t, transporttest.Hooks{}, func(t *testing.T, f *fleet) {
		var err error
		if f.o.Topics, err = operator.TopicsFrom("site/north", nil); err != nil {
			t.Fatal(err)
		}
		out, _, _ := f.tail(t, operator.Raw, operator.TailOptions{Device: "gw", Name: "meter"}, func() {
			f.say("site/north/gw/up/data/meter", string(record(1, "one")), false)
			f.say("site/north/gw/up/data/gps", string(record(1, "not asked for")), false)
			f.say("lb/gw/up/data/meter", string(record(1, "not asked for")), false)
		})
		if out != "one\n" {
			t.Errorf("got %q", out)
		}
	})
}

func TestTailEndsAfterEnoughFrames(t *testing.T) {
	bubble(t, transporttest.Hooks{}, func(t *testing.T, f *fleet) {
		p := operator.Printer{Out: &strings.Builder{}, Notes: &strings.Builder{}, Count: 2}
		go func() {
			synctest.Wait()
			for i := range uint64(5) {
				f.say("lb/gw/up/data/meter", string(record(i+1, "x")), false)
			}
		}()
		counts, err := operator.Tail(t.Context(), f.o, operator.TailOptions{}, p.Print)
		if !errors.Is(err, operator.ErrEnough) || counts.Frames != 2 {
			t.Errorf("got %+v, %v", counts, err)
		}
	})
}

func TestTailSurvivesARestartOfTheBroker(t *testing.T) {
	bubble(t, transporttest.Hooks{}, func(t *testing.T, f *fleet) {
		out, _, _ := f.tail(t, operator.Raw, operator.TailOptions{}, func() {
			f.say("lb/gw/up/data/meter", string(record(1, "one")), false)
			synctest.Wait()
			f.broker.Close()
			time.Sleep(5 * time.Second)
			f.serve(t)
			time.Sleep(time.Minute)
			f.say("lb/gw/up/data/meter", string(record(2, "two")), false)
		})
		if out != "one\ntwo\n" {
			t.Errorf("got %q", out)
		}
		all := strings.Join(f.notices, "\n")
		if !strings.Contains(all, "lost the broker") || !strings.Contains(all, "connected again") {
			t.Errorf("notices %s", all)
		}
	})
}

func TestDevices(t *testing.T) {
	bubble(t, transporttest.Hooks{}, func(t *testing.T, f *fleet) {
		f.say("lb/north/up/state",
			`{"online":true,"session":7,"epoch":"3f2a9c1e","since":1795208591123,"version":"1.2","server":"mqtts://a:8883"}`,
			true)
		f.say("lb/north/up/info",
			`{"interval_s":60,"ports":{"meter":{"port":"/dev/ttyUSB0","state":"open"},"gps":{"port":"x","state":"absent"}}}`,
			true)
		f.say("lb/south/up/state", `{"online":false,"since":1795208591123,"version":"1.1","server":"mqtts://b:8883"}`, true)
		f.say("lb/weird/up/state", `{`, true)
		f.say("lb/gone/up/state", ``, true)
		begin := time.Now()
		devices, err := operator.Devices(t.Context(), f.o, 0)
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("took %v", took)
		}
		var out, asJSON strings.Builder
		now := time.UnixMilli(1795208591123).Add(90 * time.Second)
		operator.PrintDevices(&out, devices, false, now)
		operator.PrintDevices(&asJSON, devices, true, now)
		want := `DEVICE  STATE    CONNECTED SINCE              VERSION  SERVER          INTERVAL  PORTS
north   online   2026-11-20 21:03:11 (1m30s)  1.2      mqtts://a:8883  1m0s      gps (absent), meter
south   offline  was 2026-11-20 21:03:11      1.1      mqtts://b:8883  -         -
weird   unknown  -                            -        -               -         -
`
		if out.String() != want {
			t.Errorf("got\n%swant\n%s", out.String(), want)
		}
		if !strings.Contains(asJSON.String(), `"device":"north","state":{"online":true,"session":7,`) ||
			strings.Count(asJSON.String(), "\n") != 3 {
			t.Errorf("json %s", asJSON.String())
		}
	})
}

func TestTopicsFrom(t *testing.T) {
	for _, tt := range []struct {
		prefix, name, template string
		good                   bool
	}{
		{"lb", "", "", true}, {"a/b/", "", "", true}, {"", "", "", false}, {"a//b", "", "", false}, {"a/+", "", "", false},
		{"a b", "", "", false}, {"lb", "data", "x/{id}/{name}", true}, {"lb", "data", "x/{id}", false},
		{"lb", "state", "x/{id}", true}, {"lb", "state", "x", false}, {"lb", "nothing", "x/{id}/{name}", false},
	} {
		templates := map[string]string{}
		if tt.name != "" {
			templates[tt.name] = tt.template
		}
		topics, err := operator.TopicsFrom(tt.prefix, templates)
		if (err == nil) != tt.good {
			t.Errorf("%+v: %v", tt, err)
		}
		if tt.good && topics.Info != strings.TrimSuffix(tt.prefix, "/")+"/{id}/up/info" {
			t.Errorf("%+v: info is %s", tt, topics.Info)
		}
	}
}

// TestDevicesOfALiveFleet: 120 gateways whose info changes each minute are two messages a second, and the list never ended.
func TestDevicesOfALiveFleet(t *testing.T) {
	bubble(t, transporttest.Hooks{}, func(t *testing.T, f *fleet) {
		state := func(i int) (topic, payload string) {
			return fmt.Sprintf("lb/gw-%03d/up/info", i), fmt.Sprintf(`{"interval_s":%d,"ports":{}}`, 60+i)
		}
		for i := range 120 {
			topic, payload := state(i)
			f.say(topic, payload, true)
		}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go func() {
			tick := time.NewTicker(500 * time.Millisecond)
			defer tick.Stop()
			for i := 0; ; i = (i + 1) % 120 {
				topic, payload := state(i)
				f.say(topic, payload, true)
				select {
				case <-tick.C:
				case <-ctx.Done():
					return
				}
			}
		}()
		begin := time.Now()
		devices, err := operator.Devices(t.Context(), f.o, 0)
		if took := time.Since(begin); err != nil || len(devices) != 120 || took > 3*time.Second || len(f.notices) > 0 {
			t.Errorf("%d gateways after %v, %v, %v", len(devices), took, err, f.notices)
		}
		stop()
		synctest.Wait()
	})
}
