package agent

import (
	"fmt"
	"hash/crc32"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/linkbeat/linkbeat/agent/wire"
)

// stamp is when a frame was read.
type stamp struct {
	wall     int64 // Unix ms by the wall clock
	unsynced bool  // the wall clock was unset: boot and bootID say when, once it is set
	boot     int64 // ms of CLOCK_BOOTTIME, which runs through sleep and is never set
	bootID   uint32
}

// clock tells wall time, and whether it can be believed. A gateway without a battery starts in 1970 or at its image's
// date; unset means before the binary was built and nothing else. Immutable; safe for concurrent use.
type clock struct {
	built    time.Time // zero: always believed
	bootID   uint32
	now      func() time.Time
	bootTime func() int64 // ms
}

func newClock(built time.Time) clock {
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id") // without it, every boot is the same one: still right within one
	return clock{built: built, bootID: crc32.ChecksumIEEE(id), now: time.Now, bootTime: bootTime}
}

func bootTime() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0
	}
	return ts.Nano() / int64(time.Millisecond)
}

// unset tells whether wall time cannot be believed.
func (c clock) unset() bool { return c.now().Before(c.built) }

// due says why something must not be carried out that expires then, in Unix ms, at most so far ahead; an empty code: it may.
func (c clock) due(expires int64, most time.Duration) (wire.ErrorCode, string) {
	now := c.now()
	switch {
	case expires == 0:
		return wire.NoExpiry, "expires is needed: Unix milliseconds"
	case c.unset():
		return wire.ClockUnset, "the gateway's clock is not set yet"
	case now.UnixMilli() >= expires:
		return wire.Expired, fmt.Sprintf("it was to be carried out until %s, and here it is %s", time.UnixMilli(expires).UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	case expires > now.Add(most).UnixMilli():
		return wire.Malformed, fmt.Sprintf("expires may be at most %s ahead: compare the clocks here and there", most)
	}
	return "", ""
}

// stampAt is the stamp of something that happened at t, a recent time.Now.
func (c clock) stampAt(t time.Time) stamp {
	s := stamp{wall: t.UnixMilli()}
	if c.now().Before(c.built) {
		s.unsynced, s.bootID = true, c.bootID
		s.boot = c.bootTime() - c.now().Sub(t).Milliseconds()
	}
	return s
}

// resolve turns a stamp into Unix ms, by the clock as it is now. The second result is true when that time is wrong: the
// clock is still unset, or was set only in another boot.
func (c clock) resolve(s stamp) (ms int64, unsynced bool) {
	if !s.unsynced {
		return s.wall, false
	}
	if c.unset() || s.bootID != c.bootID {
		return s.wall, true
	}
	return c.now().UnixMilli() - (c.bootTime() - s.boot), false
}
