package agent

import (
	"bytes"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/linkbeat/linkbeat/agent/wire"
)

func TestStoredComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := stored{
			raw:      rapid.Bool().Draw(t, "raw"),
			encoding: rapid.SampledFrom([]wire.Encoding{wire.Text, wire.Hex, wire.Base64}).Draw(t, "encoding"),
			data:     rapid.SliceOf(rapid.Byte()).Draw(t, "data"),
		}
		s.stamp.wall = rapid.Int64().Draw(t, "wall")
		if rapid.Bool().Draw(t, "unsynced") {
			s.stamp.unsynced, s.stamp.boot, s.stamp.bootID = true, rapid.Int64().Draw(t, "boot"), rapid.Uint32().Draw(t, "boot id")
		}
		back, err := parseStored(s.appendTo(nil))
		if err != nil || back.stamp != s.stamp || back.raw != s.raw || back.encoding != s.encoding || !bytes.Equal(back.data, s.data) {
			t.Fatalf("%+v became %+v (%v)", s, back, err)
		}
	})
}

func FuzzParseStored(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 2, 3, 4, 5, 6, 'x'})
	f.Add([]byte{8})
	f.Fuzz(func(t *testing.T, p []byte) {
		if s, err := parseStored(p); err == nil && !bytes.Equal(s.appendTo(nil), p) {
			t.Fatalf("%x came back as %x", p, s.appendTo(nil))
		}
		if _, payload, err := parseReply(p); err == nil && len(payload) > len(p) {
			t.Fatal("more than there was")
		}
	})
}

func TestClockStampsLaterWhatWasReadWithoutTime(t *testing.T) {
	built := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	wall, boot := time.Date(1970, 1, 1, 0, 5, 0, 0, time.UTC), int64(300_000)
	c := clock{built: built, bootID: 7, now: func() time.Time { return wall }, bootTime: func() int64 { return boot }}
	s := c.stampAt(wall.Add(-time.Second)) // the frame began a second ago
	if !s.unsynced || s.boot != 299_000 {
		t.Fatalf("%+v", s)
	}
	if _, unsynced := c.resolve(s); !unsynced {
		t.Fatal("believed a clock from 1970")
	}
	wall, boot = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC), 360_000 // set, a minute later
	ms, unsynced := c.resolve(s)
	if want := wall.Add(-61 * time.Second).UnixMilli(); unsynced || ms != want {
		t.Fatalf("%d, want %d (unsynced %v)", ms, want, unsynced)
	}
	s.bootID = 8
	if _, unsynced := c.resolve(s); !unsynced {
		t.Fatal("the boot time of another boot means nothing")
	}
}
