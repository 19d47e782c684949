//go:build !linux

package learn

import "time"

func sleptSince(time.Duration, time.Time) bool { return false }

func bootTime() time.Duration { return 0 }
