package kit

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

func TestCollectorKeepsItsSessionOverABrokerRestart(t *testing.T) {
	Need(t, "mosquitto")
	e := Test(t, 30*time.Second)
	b, err := e.Broker(BrokerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := e.Collect(CollectOptions{URL: b.URL(), ID: "collector", Filters: []string{"lb/#"}})
	if err != nil {
		t.Fatal(err)
	}
	for i, restart := range []bool{false, true, false} {
		if restart {
			if err := b.Stop(); err != nil {
				t.Fatal(err)
			}
			if err := b.Start(); err != nil {
				t.Fatal(err)
			}
		}
		p, err := e.Collect(CollectOptions{URL: b.URL(), ID: fmt.Sprint("sender", i)})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Publish(e.Ctx, "lb/x", false, fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Until("3 arrivals", 10*time.Second, func() bool { return c.Count() >= 3 }); err != nil {
		t.Fatal(err)
	}
	if n := b.Connects("collector"); n != 2 {
		t.Errorf("mosquitto logged %d CONNECTs of the collector, want 2", n)
	}
}

func TestBrokerSpeaksTLSWithClientCertificate(t *testing.T) {
	Need(t, "mosquitto")
	e := Test(t, 30*time.Second)
	certs, err := e.Certs()
	if err != nil {
		t.Fatal(err)
	}
	b, err := e.Broker(BrokerOptions{Certs: certs, WS: true})
	if err != nil {
		t.Fatal(err)
	}
	url := strings.Replace(b.SchemeURL("mqtts"), "mqtts", "ssl", 1) // paho's own name for it
	if _, err := e.Collect(CollectOptions{URL: url, ID: "tls", Certs: certs}); err != nil {
		t.Error(err)
	}
	if _, err := e.Collect(CollectOptions{URL: b.SchemeURL("ws"), ID: "ws"}); err != nil {
		t.Error(err)
	}
}

func TestPtyCarriesBytesBothWays(t *testing.T) {
	e := Test(t, 10*time.Second)
	p, err := e.Pty("a")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time after an unplug
		tty, err := os.OpenFile(p.Port, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		want := []byte("\x00\r\n\x03\x11\xff")
		if _, err := p.Write(want); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(want))
		if n, err := tty.Read(got); err != nil || !bytes.Equal(got[:n], want) {
			t.Fatalf("the slave read %q, %v; want %q", got[:n], err, want)
		}
		if _, err := tty.Write(want); err != nil {
			t.Fatal(err)
		}
		if err := e.Until("the answer", 5*time.Second, func() bool { return bytes.HasSuffix(p.Received(), want) }); err != nil {
			t.Fatal(err)
		}
		tty.Close()
		p.Unplug()
		if err := p.Plug(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNumberedFramesKnowTheirNumber(t *testing.T) {
	for _, n := range []int{1, 99, 123456} {
		b := NumberedFrame(n, 60)
		if len(b) != 60 {
			t.Errorf("frame %d has %d bytes, want 60", n, len(b))
		}
		if got, ok := ParseNumber(b); !ok || got != n {
			t.Errorf("ParseNumber(%q) = %d, %v", b, got, ok)
		}
		if _, ok := ParseNumber(b[1:]); ok {
			t.Errorf("a torn frame %q passed for a whole one", b[1:])
		}
	}
}

func TestNumberedPlayerKeepsItsRate(t *testing.T) {
	e := Test(t, 20*time.Second)
	p, err := e.Pty("rate")
	if err != nil {
		t.Fatal(err)
	}
	f := &Numbered{Rate: 200, Size: 20}
	ctx, cancel := context.WithTimeout(e.Ctx, 10*time.Second)
	defer cancel()
	if err := f.Run(ctx, p, 100); err != nil {
		t.Fatal(err)
	}
	w := f.Wrote()
	if len(w) != 100 || w[99].Sub(w[0]) < 300*time.Millisecond {
		t.Errorf("%d frames in %v, want 100 in about 500 ms", len(w), w[len(w)-1].Sub(w[0]))
	}
}

func TestTallySortsOutWhatCame(t *testing.T) {
	rec := func(epoch string, seq int, text string) string {
		return fmt.Sprintf(`{"epoch":%q,"seq":%d,"ts":5,"text":%q}`, epoch, seq, text)
	}
	late := func(seq int) string { return fmt.Sprintf(`{"epoch":"a","seq":%d,"ts":5,"text":"z","late":true}`, seq) }
	on := func(payloads ...string) []Arrival {
		var a []Arrival
		for _, p := range payloads {
			dup := strings.HasPrefix(p, "D")
			a = append(a, Arrival{Topic: "t", Payload: []byte(strings.TrimPrefix(p, "D")), Dup: dup})
		}
		return a
	}
	tests := []struct {
		name                                                 string
		in                                                   []Arrival
		records, repeats, redelivered, conflicts, holes, gap int
	}{
		{"in order", on(rec("a", 1, "x"), rec("a", 2, "x")), 2, 0, 0, 0, 0, 0},
		{"a batch", on("[" + rec("a", 1, "x") + "," + rec("a", 2, "y") + "]"), 2, 0, 0, 0, 0, 0},
		{"agent repeats", on(rec("a", 1, "x"), rec("a", 1, "x")), 1, 1, 0, 0, 0, 0},
		{"broker repeats", on(rec("a", 1, "x"), "D"+rec("a", 1, "x")), 1, 0, 1, 0, 0, 0},
		{"two contents", on(rec("a", 1, "x"), rec("a", 1, "y")), 1, 0, 0, 1, 0, 0},
		{"a hole", on(rec("a", 1, "x"), rec("a", 3, "y")), 2, 0, 0, 0, 1, 0},
		{"a hole that is filled by what waited", on(rec("a", 1, "x"), rec("a", 4, "y"), late(2), late(3)), 4, 0, 0, 0, 0, 0},
		{"filled in part", on(rec("a", 1, "x"), rec("a", 5, "y"), late(3)), 3, 0, 0, 0, 2, 0},
		{"filled by what had not waited", on(rec("a", 1, "x"), rec("a", 3, "y"), rec("a", 2, "y")), 3, 0, 0, 0, 1, 0},
		{"beside what is read", on(rec("a", 1, "x"), rec("a", 4, "y"), late(2), rec("a", 5, "y"), late(3)), 5, 0, 0, 0, 0, 0},
		{"a backlog out of order", on(rec("a", 1, "x"), rec("a", 4, "y"), late(3), late(2)), 4, 0, 0, 0, 1, 0},
		{"what waited, twice", on(rec("a", 2, "x"), late(1), late(1)), 2, 1, 0, 0, 0, 0},
		{"a new epoch starts at 1", on(rec("a", 1, "x"), rec("b", 1, "y")), 2, 0, 0, 0, 0, 0},
		{"a gap", on(`{"epoch":"a","seq":1,"ts":1,"gap":{"from":1,"to":4,"reason":"full"}}`), 1, 0, 0, 0, 0, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Count(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			have := []int{len(got.Records), len(got.Repeats), got.Redelivered, len(got.Conflicts), len(got.Holes), len(got.Gaps)}
			want := []int{tt.records, tt.repeats, tt.redelivered, tt.conflicts, tt.holes, tt.gap}
			if fmt.Sprint(have) != fmt.Sprint(want) {
				t.Errorf("records, repeats, redelivered, conflicts, holes, gaps = %v, want %v", have, want)
			}
		})
	}
}

func TestTableSaysWhatWasMissed(t *testing.T) {
	tab := NewTable("demo")
	tab.AtMost("small enough", 3, 4, "x")
	tab.AtMost("too big", 5, 4, "x")
	brief := NewTable("brief").Brief()
	brief.Within("too late, on a busy machine", 5, 4, "s")
	brief.NoSlower("too little, there", 3, 4, "/s")
	full := NewTable("full")
	full.Within("too late", 5, 4, "s")
	full.NoSlower("too little", 3, 4, "/s")
	if len(brief.Missed()) != 0 || len(full.Missed()) != 2 {
		t.Errorf("brief: %+v, full: %+v", brief.Missed(), full.Missed())
	}
	tab.Check("said no", fmt.Errorf("because"))
	var out bytes.Buffer
	if err := tab.Print(&out); err != nil {
		t.Fatal(err)
	}
	if n := len(tab.Missed()); n != 2 {
		t.Errorf("%d rows missed, want 2\n%s", n, out.String())
	}
	dir := t.TempDir()
	if err := tab.Save(dir); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(dir + "/demo.json"); err != nil || !bytes.Contains(b, []byte(`"said no"`)) {
		t.Errorf("saved table: %s, %v", b, err)
	}
}

func TestDocRendersNestedMaps(t *testing.T) {
	b, err := NewDoc("gw", "mqtt://h:1").Line("meter", "/dev/x").Set("serial.meter.commands", true).YAML()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"    - url: mqtt://h:1", "id: gw", "commands: true", "port: /dev/x"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %q in\n%s", want, b)
		}
	}
}
