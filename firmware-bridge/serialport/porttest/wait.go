package porttest

import (
	"fmt"
	"os"
	"testing"
	"time"
)

// Patience is how long a test waits for what must come; only a broken test waits that long.
const Patience = 20 * time.Second

// Later is a deadline that only a broken test meets.
func Later() time.Time { return time.Now().Add(Patience) }

// Recv takes what comes over a channel; the test fails when it does not come.
func Recv[T any](t testing.TB, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(Patience):
		t.Fatalf("waited %v for %s", Patience, what)
		panic("not reached")
	}
}

// Eventually asks until the answer is yes: for what the kernel does not report.
func Eventually(t testing.TB, what string, yes func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.After(Patience)
	for !yes() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("waited %v for %s", Patience, what)
		}
	}
}

// Descriptors lists what this process has open, from /proc.
func Descriptors(t testing.TB) (out []string) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
			out = append(out, fmt.Sprint(e.Name(), " ", to))
		}
	}
	return out
}
