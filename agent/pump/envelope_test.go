package pump

import (
	"strings"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/agent/clock"
	"github.com/linkbeat/linkbeat/agent/record"
	"github.com/linkbeat/linkbeat/agent/spool"
	"github.com/linkbeat/linkbeat/agent/wire"
)

func TestEnvelope(t *testing.T) {
	now := time.UnixMilli(1795208600000)
	rs := NewRoutes("up/data/{name}", "gw-7")
	rs.Set(map[string]Route{"raw": {Topic: "up/data/raw", Format: wire.Raw}})
	read := clock.Stamp{Wall: now.UnixMilli() - 1000}
	long := clock.Stamp{Wall: now.UnixMilli() - 31_000}
	gap := &spool.Gap{From: 17, To: 40, Epoch: "3f2a9c1e", Reason: spool.ReasonFull}
	for name, c := range map[string]struct {
		stream string
		frame  record.Stored
		gap    *spool.Gap
		want   string
	}{
		"text": {"meter", record.Stored{Stamp: read, Encoding: wire.Text, Data: []byte("$GPGGA")}, nil,
			`{"seq":7,"ts":1795208599000,"epoch":"3f2a9c1e","text":"$GPGGA"}`},
		"hex": {"meter", record.Stored{Stamp: read, Encoding: wire.Hex, Data: []byte{0xa0, 1}}, nil,
			`{"seq":7,"ts":1795208599000,"epoch":"3f2a9c1e","hex":"a001"}`},
		"base64": {"meter", record.Stored{Stamp: read, Encoding: wire.Base64, Data: []byte{0xa0, 1}}, nil,
			`{"seq":7,"ts":1795208599000,"epoch":"3f2a9c1e","base64":"oAE="}`},
		"text that is not UTF-8": {"meter", record.Stored{Stamp: read, Encoding: wire.Text, Data: []byte("a\xff")}, nil,
			`{"seq":7,"ts":1795208599000,"epoch":"3f2a9c1e","text":"a` + "\uFFFD" + `","base64":"Yf8="}`},
		"late": {"meter", record.Stored{Stamp: long, Encoding: wire.Text, Data: []byte("x")}, nil,
			`{"seq":7,"ts":1795208569000,"epoch":"3f2a9c1e","text":"x","late":true}`},
		"raw": {"raw", record.Stored{Stamp: read, Format: wire.Raw, Encoding: wire.Hex, Data: []byte{0, 1}}, nil, "\x00\x01"},
		"senml": {"meter", record.Stored{Stamp: read, Format: wire.SenML, Encoding: wire.Text, Data: []byte("$GPGGA")}, nil,
			`{"bn":"gw-7/meter/","bt":1795208599.000,"n":"frame","vs":"$GPGGA","seq":7,"epoch":"3f2a9c1e"}`},
		"senml of bytes": {"meter", record.Stored{Stamp: read, Format: wire.SenML, Encoding: wire.Hex, Data: []byte{0xff, 0xfe}},
			nil, `{"bn":"gw-7/meter/","bt":1795208599.000,"n":"frame","vd":"__4","seq":7,"epoch":"3f2a9c1e"}`},
		"values": {"meter", polled(read, wire.JSON), nil,
			`{"seq":7,"ts":1795208599000,"epoch":"3f2a9c1e","values":{"on":true,"u":230.4},"bad":{"i":"ILLEGAL DATA ADDRESS"}}`},
		"values as senml": {"meter", polled(read, wire.SenML), nil,
			`{"bn":"gw-7/meter/","bt":1795208599.000,"n":"on","vb":true,"seq":7,"epoch":"3f2a9c1e"},` +
				`{"n":"u","u":"V","v":230.4},{"n":"i/bad","vs":"ILLEGAL DATA ADDRESS"}`},
		"gap": {"meter", record.Stored{}, gap,
			`{"seq":7,"ts":1795208600000,"epoch":"3f2a9c1e","gap":{"from":17,"to":40,"reason":"full"}}`},
		"gap in an older epoch": {"meter", record.Stored{}, &spool.Gap{From: 17, Epoch: "00000001", Reason: spool.ReasonRestart},
			`{"seq":7,"ts":1795208600000,"epoch":"3f2a9c1e","gap":{"from":17,"to":0,"reason":"restart","epoch":"00000001"}}`},
		"a gap has no place among bare bytes": {"raw", record.Stored{}, gap, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := frames{clock: clock.Clock{Now: func() time.Time { return now }}, routes: rs}
			r := spool.Record{Epoch: "3f2a9c1e", Stream: c.stream, Seq: 7, Time: now, Gap: c.gap}
			if c.gap == nil {
				r.Data, r.Time = c.frame.Append(nil), time.UnixMilli(c.frame.Stamp.Wall)
			}
			e, err := f.encode(r, now)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if e != nil {
				got = string(e.bytes)
			}
			if got != c.want {
				t.Fatalf("%s\nwant %s", got, c.want)
			}
		})
	}
}

func TestUnsyncedFramesSaySo(t *testing.T) {
	built := time.UnixMilli(1795208600000)
	wall := time.UnixMilli(60_000)
	c := clock.Clock{Built: built, Now: func() time.Time { return wall }, BootTime: func() int64 { return 60_000 }}
	rs := NewRoutes("up/{name}", "")
	rs.Set(map[string]Route{})
	r := spool.Record{Epoch: "e", Stream: "m", Seq: 1, Time: wall,
		Data: record.Stored{Stamp: c.StampAt(wall), Encoding: wire.Text, Data: []byte("x")}.Append(nil)}
	e, err := frames{c, rs}.encode(r, wall)
	if err != nil || !strings.Contains(string(e.bytes), `"unsynced":true`) {
		t.Fatalf("%s, %v", e.bytes, err)
	}
	wall = built.Add(time.Hour)
	c.BootTime = func() int64 { return 90_000 }
	e, err = frames{c, rs}.encode(r, wall)
	want := `"ts":` + "1795212170000" // half a minute before now
	if err != nil || strings.Contains(string(e.bytes), "unsynced") || !strings.Contains(string(e.bytes), want) {
		t.Fatalf("%s, %v", e.bytes, err)
	}
}

// Late is what waited, by the time that passed: a clock that was set back or on since makes nothing late, and hides nothing.
func TestLateIsWhatPassed(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	rs := NewRoutes("up/{name}", "")
	rs.Set(map[string]Route{})
	for name, c := range map[string]struct {
		ago  time.Duration // as the spool tells it
		wall time.Time     // of the clock when it was read
		want bool
	}{
		"a clock that was ten years behind": {time.Second, now.AddDate(-10, 0, 0), false},
		"a clock that was ten years ahead":  {time.Minute, now.AddDate(10, 0, 0), true},
		"2061, and at once":                 {0, now.AddDate(35, 0, 0), false},
		"a right clock":                     {time.Minute, now.Add(-time.Minute), true},
	} {
		r := spool.Record{Epoch: "e", Stream: "m", Seq: 1, Time: now.Add(-c.ago),
			Data: record.Stored{Stamp: clock.Stamp{Wall: c.wall.UnixMilli()}, Encoding: wire.Text, Data: []byte("x")}.Append(nil)}
		e, err := frames{clock.Clock{Now: func() time.Time { return now }}, rs}.encode(r, now)
		if err != nil || strings.Contains(string(e.bytes), `"late":true`) != c.want {
			t.Errorf("%s: %s, %v", name, e.bytes, err)
		}
	}
}

// polled is what a unit said, as it lies in the spool.
func polled(at clock.Stamp, f wire.Format) record.Stored {
	data := `{"values":{"u":230.4,"on":true},"bad":{"i":"ILLEGAL DATA ADDRESS"},"units":{"u":"V"}}`
	return record.Stored{Stamp: at, Format: f, Values: true, Data: []byte(data)}
}
