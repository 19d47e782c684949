package spool

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// After a change of the agent's user what the other one wrote may not be readable. It was removed as of no use.
func TestWhatMayNotBeReadIsLeftAlone(t *testing.T) {
	for _, name := range []string{segmentName(1), metaFile, cursorFile} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, onDisk())
			f.fill(t, 5)
			f.Ack(1)
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			before := f.fs.kill()
			f.fs = before.kill()
			f.fs.openErr = map[string]error{name: syscall.EACCES}
			f.reopen(t)
			if why := f.Status().Why; !strings.Contains(why, "permission denied") {
				t.Errorf("it says %q", why)
			}
			f.fill(t, 3) // which go on in memory
			if records, err := f.Peek(0, nil, 10, 1<<20); err != nil || len(records) != 3 {
				t.Fatalf("%v, %v", records, err)
			}
			f.Ack(3)
			f.now = f.now.Add(time.Hour)
			_, _ = f.Peek(0, nil, 10, 1<<20)
			_ = f.Close()
			for name, was := range before.files {
				if is := f.fs.files[name]; is == nil || string(is.data) != string(was.data) {
					t.Errorf("%s is not what it was", name)
				}
			}
			f.fs.openErr = nil // chown
			f.reopen(t)
			if got := f.all(t); !slices.Equal(got, []string{"2", "3", "4", "5"}) {
				t.Errorf("%v wait", got)
			}
		})
	}
}
