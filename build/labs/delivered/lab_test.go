package delivered

import (
	"os"
	"testing"
)

// TestNothingIsGivenAwayKnowingly runs the short form; with LAB_DELIVERED_FULL set the long one, or the part of it that
// LAB_DELIVERED_ONLY names.
func TestNothingIsGivenAwayKnowingly(t *testing.T) {
	l := Lab()
	if os.Getenv("LAB_DELIVERED_FULL") != "" {
		l.Short = l.Full
	}
	l.Test(t)
}
