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

// What came while the directory was left alone goes behind what is in it, once that may be read: nothing of either is lost.
func TestWhatWasLeftAloneIsTakenUp(t *testing.T) {
	for name, c := range map[string]struct {
		bar  func(fs *memFS, err error)
		more int
		most int64 // bytes; 0: enough
		want []string
	}{
		"a segment": {func(fs *memFS, err error) { fs.openErr = map[string]error{segmentName(1): err} }, 3, 0,
			[]string{"2", "3", "4", "5", "1", "2", "3"}},
		"the cursor": {func(fs *memFS, err error) { fs.openErr = map[string]error{cursorFile: err} }, 3, 0,
			[]string{"2", "3", "4", "5", "1", "2", "3"}},
		"nothing came": {func(fs *memFS, err error) { fs.openErr = map[string]error{metaFile: err} }, 0, 0,
			[]string{"2", "3", "4", "5"}},
		"the directory": {func(fs *memFS, err error) { fs.allErr = err }, 2, 0, []string{"2", "3", "4", "5", "1", "2"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, onDisk())
			f.fill(t, 5)
			f.Ack(1)
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			epoch := f.Epoch()
			f.fs = f.fs.kill()
			c.bar(f.fs, syscall.EACCES)
			f.reopen(t)
			f.fill(t, c.more)
			if why, mended := f.LeftAlone(); why == nil || mended {
				t.Fatalf("left alone: %v, mended: %v", why, mended)
			}
			if err := f.TakeUp(); err == nil {
				t.Error("it was taken up although it may not be read")
			}
			if st := f.Status(); st.Waiting != int64(c.more) || st.Found != "" {
				t.Errorf("%+v", st)
			}
			c.bar(f.fs, nil) // chown
			if _, mended := f.LeftAlone(); !mended {
				t.Fatal("nobody notices that it may be read now")
			}
			if err := f.TakeUp(); err != nil {
				t.Fatal(err)
			}
			if _, err := f.Append("m", []byte("x")); err == nil {
				t.Error("a record was taken that nobody writes")
			}
			if err := f.Close(); err != nil {
				t.Error(err)
			}
			f.reopen(t)
			if got := f.all(t); !slices.Equal(got, c.want) || f.Epoch() != epoch {
				t.Errorf("%v wait, want %v; epoch %s, was %s", got, c.want, f.Epoch(), epoch)
			}
			if why, _ := f.LeftAlone(); why != nil || f.Status().Why != "" || f.Status().Found != "" {
				t.Errorf("%v, %+v", why, f.Status())
			}
		})
	}
}

// Of rights, and of a disk that is mounted read-only, nobody may say that it is damage.
func TestWhatIsBarredIsNoDamage(t *testing.T) {
	for name, bar := range map[string]func(fs *memFS){
		"a segment of another user":       func(fs *memFS) { fs.openErr = map[string]error{segmentName(1): syscall.EACCES} },
		"a cursor of another user":        func(fs *memFS) { fs.openErr = map[string]error{cursorFile: syscall.EPERM} },
		"a directory of another user":     func(fs *memFS) { fs.allErr = syscall.EACCES },
		"read-only, with what is of use":  func(fs *memFS) { fs.writeErr = syscall.EROFS },
		"read-only, with what is of none": func(fs *memFS) { fs.writeErr = syscall.EROFS },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, onDisk())
			f.fill(t, 2)
			f.Ack(1)
			if strings.HasSuffix(name, "none") {
				f.Ack(2)
			}
			f.fs = f.fs.kill()
			bar(f.fs)
			f.reopen(t)
			if st := f.Status(); st.Found != "" || st.Why == "" {
				t.Errorf("found %q, why %q", st.Found, st.Why)
			}
		})
	}
}
