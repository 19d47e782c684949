package agent

import (
	"strings"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/agent/spool"
	"github.com/linkbeat/linkbeat/agent/wire"
)

func TestEnvelope(t *testing.T) {
	now := time.UnixMilli(1795208600000)
	rs := &routes{topic: "up/data/{name}"}
	rs.table.Store(&map[string]route{"raw": {topic: "up/data/raw", raw: true}})
	read := stamp{wall: now.UnixMilli() - 1000}
	long := stamp{wall: now.UnixMilli() - 31_000}
	gap := &spool.Gap{From: 17, To: 40, Epoch: "3f2a9c1e", Reason: spool.ReasonFull}
	for name, c := range map[string]struct {
		stream string
		frame  stored
		gap    *spool.Gap
		want   string
	}{
		"text":   {"meter", stored{read, false, wire.Text, []byte("$GPGGA")}, nil, `{"seq":7,"ts":1795208599000,"epoch":"3f2a9c1e","text":"$GPGGA"}`},
		"hex":    {"meter", stored{read, false, wire.Hex, []byte{0xa0, 1}}, nil, `{"seq":7,"ts":1795208599000,"epoch":"3f2a9c1e","hex":"a001"}`},
		"base64": {"meter", stored{read, false, wire.Base64, []byte{0xa0, 1}}, nil, `{"seq":7,"ts":1795208599000,"epoch":"3f2a9c1e","base64":"oAE="}`},
		"text that is not UTF-8": {"meter", stored{read, false, wire.Text, []byte("a\xff")}, nil,
			`{"seq":7,"ts":1795208599000,"epoch":"3f2a9c1e","text":"a` + "\uFFFD" + `","base64":"Yf8="}`},
		"late": {"meter", stored{long, false, wire.Text, []byte("x")}, nil, `{"seq":7,"ts":1795208569000,"epoch":"3f2a9c1e","text":"x","late":true}`},
		"raw":  {"raw", stored{read, true, wire.Hex, []byte{0, 1}}, nil, "\x00\x01"},
		"gap":  {"meter", stored{}, gap, `{"seq":7,"ts":1795208600000,"epoch":"3f2a9c1e","gap":{"from":17,"to":40,"reason":"full"}}`},
		"gap in an older epoch": {"meter", stored{}, &spool.Gap{From: 17, Epoch: "00000001", Reason: spool.ReasonRestart},
			`{"seq":7,"ts":1795208600000,"epoch":"3f2a9c1e","gap":{"from":17,"to":0,"reason":"restart","epoch":"00000001"}}`},
		"a gap has no place among bare bytes": {"raw", stored{}, gap, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := frames{clock: clock{now: func() time.Time { return now }}, routes: rs}
			r := spool.Record{Epoch: "3f2a9c1e", Stream: c.stream, Seq: 7, Time: now, Gap: c.gap}
			if c.gap == nil {
				r.Data = c.frame.appendTo(nil)
			}
			it, err := f.encode(r, now)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if it != nil {
				got = string(it.payload)
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
	c := clock{built: built, now: func() time.Time { return wall }, bootTime: func() int64 { return 60_000 }}
	rs := &routes{topic: "up/{name}"}
	rs.table.Store(&map[string]route{})
	r := spool.Record{Epoch: "e", Stream: "m", Seq: 1, Time: wall,
		Data: stored{c.stampAt(wall), false, wire.Text, []byte("x")}.appendTo(nil)}
	it, err := frames{c, rs}.encode(r, wall)
	if err != nil || !strings.Contains(string(it.payload), `"unsynced":true`) {
		t.Fatalf("%s, %v", it.payload, err)
	}
	wall = built.Add(time.Hour)
	c.bootTime = func() int64 { return 90_000 }
	it, err = frames{c, rs}.encode(r, wall)
	want := `"ts":` + "1795212170000" // half a minute before now
	if err != nil || strings.Contains(string(it.payload), "unsynced") || !strings.Contains(string(it.payload), want) {
		t.Fatalf("%s, %v", it.payload, err)
	}
}
