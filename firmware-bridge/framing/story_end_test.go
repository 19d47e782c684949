package framing

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// A false start that asks for 1023 bytes, and then a frame a minute: each comes out within seconds, with its own time.
func TestAFalseLengthHoldsFramesBackOnlyUntilASilence(t *testing.T) {
	rtcm := rtcmSpec()
	rtcm.Keep = false
	f := mustNew(t, rtcm)
	f.Feed(t0(), []byte("\xd3\x03\xff"))
	drain(t, f, t0())
	for i := range 20 {
		now := t0().Add(time.Duration(i) * time.Minute)
		payload := []byte{byte(i), 1, 2, 3}
		line, err := f.Encode(nil, payload)
		if err != nil {
			t.Fatal(err)
		}
		f.Feed(now, line)
		frames, _ := drain(t, f, now)
		if wake := f.Wake(); len(frames) == 0 && wake.Before(now.Add(4*time.Second)) {
			frames, _ = drain(t, f, wake)
		}
		if !slices.Equal(frames, []got{{string(payload), now}}) {
			t.Fatalf("minute %d: %v, %+v", i, frames, f.Stats())
		}
	}
	if s := f.Stats(); s.Bad != 3 || s.Pending != 0 {
		t.Errorf("%+v", s)
	}
}

func TestTheEndGivesWhatOnlyWaited(t *testing.T) {
	encoded := func(s Spec, p string) string {
		out, err := mustNew(t, s).Encode(nil, []byte(p))
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	rtcm := rtcmSpec()
	rtcm.Keep = false
	fixed := Spec{Type: "fixed", Size: 8, Header: []byte("#"), Checksum: "sum16"}
	ended := Spec{Type: "length", Width: 2, Trailer: []byte("zz")}
	idle := Spec{Type: "idle", Gap: time.Second}
	summed := Spec{Type: "idle", Gap: time.Second, Checksum: "sum16"}
	rtu := Spec{Type: "modbus_rtu"}
	poll := "\x01\x06\x00\x01\x00\x02"
	answer := "\x01\x03\x02\x12\x34"
	for name, c := range map[string]struct {
		spec Spec
		in   string
		want []string
		bad  int64
		left int64 // pending: never whole
	}{
		"length behind a false start": {rtcm, "\xd3\x03\xff" + encoded(rtcm, "abc") + encoded(rtcm, "def"),
			[]string{"abc", "def"}, 3, 0},
		"fixed behind a false start":   {fixed, "##" + encoded(fixed, "#abcde"), []string{"#abcde"}, 2, 0},
		"a trailer tells too":          {ended, "\x01\x00" + encoded(ended, "abc"), []string{"abc"}, 2, 0},
		"a torn frame is bad":          {rtcm, encoded(rtcm, "abc")[:5], nil, 5, 0},
		"nothing tells: no search":     {Spec{Type: "length", Width: 1}, "\x09\x01a\x01b", nil, 0, 5},
		"idle":                         {idle, "abc", []string{"abc"}, 0, 0},
		"idle, nothing":                {summed, "", nil, 0, 0},
		"idle, a wrong checksum":       {summed, "abcdef", nil, 6, 0},
		"modbus":                       {rtu, encoded(rtu, poll), []string{poll}, 0, 0},
		"modbus, glued":                {rtu, encoded(rtu, poll) + encoded(rtu, answer), []string{poll, answer}, 0, 0},
		"modbus, torn":                 {rtu, encoded(rtu, poll)[:5], nil, 5, 0},
		"a line that is not ended yet": {Spec{}, "abc\nde", []string{"abc"}, 0, 2},
	} {
		f := mustNew(t, c.spec)
		f.Feed(t0(), []byte(c.in))
		frames, _ := drain(t, f, t0())
		f.End()
		last, _ := drain(t, f, t0())
		if out := texts(append(frames, last...)); !slices.Equal(out, c.want) {
			t.Errorf("%s: %q, want %q", name, out, c.want)
		}
		if s := f.Stats(); s.Bad != c.bad || s.Pending != c.left {
			t.Errorf("%s: %+v", name, s)
		}
		if !f.Wake().IsZero() {
			t.Errorf("%s: waits until %v", name, f.Wake())
		}
	}
}

// Where every byte may begin a long frame, whoever asks must be able to stop.
func TestASearchThatFindsNothingReturnsNowAndThen(t *testing.T) {
	f := mustNew(t, Spec{Type: "length", Width: 2, Checksum: "crc16/modbus", Max: 64 << 10}).(*counted)
	noise := bytes.Repeat([]byte{0x7f}, 96<<10)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range noise {
		noise[i] ^= byte(r.Uint32())
	}
	f.Feed(t0(), noise)
	for i := range 20 {
		if frame, err := f.Next(t0()); frame == nil && err == nil {
			t.Fatalf("answer %d: the search is over", i)
		}
		if f.summed > sumAtOnce+f.max {
			t.Fatalf("checksums over %d bytes at once", f.summed)
		}
		balance(t, f.Stats())
	}
	if s := f.Stats(); s.BadFrames-s.Frames > 1 {
		t.Errorf("one stretch counted more than once: %+v", s)
	}
}
