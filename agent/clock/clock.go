// Package clock tells wall time and whether it can be believed, and stamps what was read before the clock was set so that
// its time can be known later.
package clock

import (
	"fmt"
	"hash/crc32"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/linkbeat/linkbeat/agent/wire"
)

// Stamp is when a frame was read.
type Stamp struct {
	Wall     int64 // Unix ms by the wall clock
	Unsynced bool  // the wall clock was unset: Boot and BootID say when, once it is set
	Boot     int64 // ms of CLOCK_BOOTTIME, which runs through sleep and is never set
	BootID   uint32
}

// Clock tells wall time, and whether it can be believed. A gateway without a battery starts in 1970 or at its image's
// date; unset means before Built and nothing else. Set is not believed: see Believed. Immutable; safe for concurrent use.
type Clock struct {
	Built    time.Time // zero: always believed
	BootID   uint32
	Now      func() time.Time
	BootTime func() int64 // ms
	Synced   func() bool  // the kernel says that something keeps the wall clock right; nil: nobody says so
}

// New returns the clock of this machine. Built is when the binary was built: a clock that is before it is unset; zero: every
// clock is believed.
func New(built time.Time) Clock {
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id") // without it, every boot is the same one: still right within one
	return Clock{Built: built, BootID: crc32.ChecksumIEEE(id), Now: time.Now, BootTime: bootTime, Synced: synced}
}

// synced asks adjtimex(2): NTP clears STA_UNSYNC, and whoever sets the clock by hand sets it. A clock that GPS or a battery set
// without NTP leaves it set.
func synced() bool {
	var x unix.Timex // modes 0: only asked
	state, err := unix.Adjtimex(&x)
	return err == nil && state != unix.TIME_ERROR && x.Status&unix.STA_UNSYNC == 0
}

func bootTime() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0
	}
	return ts.Nano() / int64(time.Millisecond)
}

// Unset tells whether wall time cannot be believed.
func (c Clock) Unset() bool { return c.Now().Before(c.Built) }

// Believed tells whether the wall clock may make something older: it is set, and something keeps it right. What it says of the
// time that passed counts only then; within one boot Uptime does.
func (c Clock) Believed() bool { return c.Synced != nil && c.Synced() && !c.Unset() }

// Uptime is how long the machine has been up, through sleep.
func (c Clock) Uptime() time.Duration { return time.Duration(c.BootTime()) * time.Millisecond }

// Due says why something must not be carried out that expires then, in Unix ms, at most so far ahead; an empty code: it may.
func (c Clock) Due(expires int64, most time.Duration) (wire.ErrorCode, string) {
	now := c.Now()
	switch {
	case expires == 0:
		return wire.NoExpiry, "expires is needed: Unix milliseconds"
	case c.Unset():
		return wire.ClockUnset, "the gateway's clock is not set yet"
	case now.UnixMilli() >= expires:
		return wire.Expired, fmt.Sprintf("it was to be carried out until %s, and here it is %s",
			time.UnixMilli(expires).UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	case expires > now.Add(most).UnixMilli():
		return wire.Malformed, fmt.Sprintf("expires may be at most %s ahead: compare the clocks here and there", most)
	}
	return "", ""
}

// StampAt is the stamp of something that happened at t, a recent time.Now.
func (c Clock) StampAt(t time.Time) Stamp {
	s := Stamp{Wall: t.UnixMilli()}
	if c.Now().Before(c.Built) {
		s.Unsynced, s.BootID = true, c.BootID
		s.Boot = c.BootTime() - c.Now().Sub(t).Milliseconds()
	}
	return s
}

// Resolve turns a stamp into Unix ms, by the clock as it is now. The second result is true when that time is wrong: the
// clock is still unset, or was set only in another boot.
func (c Clock) Resolve(s Stamp) (ms int64, unsynced bool) {
	if !s.Unsynced {
		return s.Wall, false
	}
	if c.Unset() || s.BootID != c.BootID {
		return s.Wall, true
	}
	return c.Now().UnixMilli() - (c.BootTime() - s.Boot), false
}
