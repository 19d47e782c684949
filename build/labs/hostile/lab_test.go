package hostile

import (
	"os"
	"testing"
)

// TestStrangersReachNothing runs the short form; with LAB_HOSTILE_FULL set the long one, or the part of it that LAB_HOSTILE_ONLY
// names.
func TestStrangersReachNothing(t *testing.T) {
	l := Lab()
	if os.Getenv("LAB_HOSTILE_FULL") != "" {
		l.Short = l.Full
	}
	l.Test(t)
}
