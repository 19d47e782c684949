package clock

import (
	"testing"
	"time"
)

func TestClockStampsLaterWhatWasReadWithoutTime(t *testing.T) {
	built := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	wall, boot := time.Date(1970, 1, 1, 0, 5, 0, 0, time.UTC), int64(300_000)
	c := Clock{Built: built, BootID: 7, Now: func() time.Time { return wall }, BootTime: func() int64 { return boot }}
	s := c.StampAt(wall.Add(-time.Second)) // the frame began a second ago
	if !s.Unsynced || s.Boot != 299_000 {
		t.Fatalf("%+v", s)
	}
	if _, unsynced := c.Resolve(s); !unsynced {
		t.Fatal("believed a clock from 1970")
	}
	wall, boot = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC), 360_000 // set, a minute later
	ms, unsynced := c.Resolve(s)
	if want := wall.Add(-61 * time.Second).UnixMilli(); unsynced || ms != want {
		t.Fatalf("%d, want %d (unsynced %v)", ms, want, unsynced)
	}
	if c.Believed() {
		t.Fatal("believed a clock that nobody keeps")
	}
	c.Synced = func() bool { return true }
	if !c.Believed() || c.Uptime() != 6*time.Minute {
		t.Fatal("NTP is not believed")
	}
	if wall = built.Add(-time.Hour); c.Believed() {
		t.Fatal("believed a clock from before the build")
	}
	s.BootID = 8
	if _, unsynced := c.Resolve(s); !unsynced {
		t.Fatal("the boot time of another boot means nothing")
	}
}
