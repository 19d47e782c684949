package learn

import (
	"time"

	"golang.org/x/sys/unix"
)

// sleptSince reports whether the machine was suspended since then: CLOCK_BOOTTIME counts that time, the monotonic clock that Go
// measures with does not.
func sleptSince(boot time.Duration, since time.Time) bool {
	return bootTime()-boot-time.Since(since) > sleepSlack
}

func bootTime() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

const sleepSlack = time.Second // that the two clocks may differ by
