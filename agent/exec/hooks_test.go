package exec

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/linkbeat/linkbeat/config"
)

// hookRig runs hooks whose commands speak through a pipe with a name: a line that was read says that its command got there.
type hookRig struct {
	*Hooks
	t     *testing.T
	pipe  string
	lines chan string
	log   *lockedBuffer
	stop  func()
}

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newHookRig(t *testing.T, timeout time.Duration) *hookRig {
	t.Helper()
	r := &hookRig{t: t, pipe: fifo(t), lines: make(chan string), log: &lockedBuffer{}}
	r.Hooks = NewHooks(zerolog.New(r.log))
	r.timeout = timeout
	f, err := os.OpenFile(r.pipe, os.O_RDWR, 0) // for writing too, so that it never ends
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	reading := make(chan struct{})
	go func() {
		defer close(reading)
		for s := bufio.NewScanner(f); s.Scan(); {
			select {
			case r.lines <- s.Text():
			case <-over:
				return
			}
		}
	}()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = r.Run(ctx) }()
	r.stop = func() { cancel(); <-ended }
	t.Cleanup(func() {
		r.stop()
		close(over)
		_ = f.Close()
		<-reading
	})
	return r
}

func fifo(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// says is a hook that writes what the shell makes of text into the pipe.
func (r *hookRig) says(text string) []string { return sh(`echo "` + text + `" >` + r.pipe) }

func (r *hookRig) expect(want ...string) {
	r.t.Helper()
	for _, w := range want {
		select {
		case got := <-r.lines:
			if got != w {
				r.t.Fatalf("%q, want %q", got, w)
			}
		case <-time.After(20 * time.Second):
			r.t.Fatalf("%q did not come; log: %s", w, r.log)
		}
	}
}

func TestHooksAreToldWhatHappened(t *testing.T) {
	r := newHookRig(t, 0)
	r.Configure(config.Hooks{Up: r.says("$LINKBEAT_EVENT $LINKBEAT_SERVER [$LINKBEAT_WHY] $HOME"),
		Down: r.says("$LINKBEAT_EVENT $LINKBEAT_SERVER [$LINKBEAT_WHY]")})
	r.Up("mqtts://a:8883")
	r.expect("up mqtts://a:8883 [] ")
	r.Down("mqtts://a:8883", "mqtts://a:8883: reset\nby peer\x00 $(id)")
	r.expect(`down mqtts://a:8883 [mqtts://a:8883: reset\x0aby peer\x00 $(id)]`)
	r.Up("mqtts://a:8883")
	r.Up("mqtts://a:8883") // a planned re-dial: nothing that a hook could tell apart
	r.Up("mqtts://b:8883")
	r.Down("mqtts://b:8883", strings.Repeat("x", 10_000))
	for range 4 {
		select {
		case line := <-r.lines:
			if strings.HasPrefix(line, "down mqtts://b:8883") {
				if line != "down mqtts://b:8883 ["+strings.Repeat("x", hookWhyMax)+"… (8976 bytes more)]" {
					t.Errorf("%q", line)
				}
				return
			}
		case <-time.After(20 * time.Second):
			t.Fatal("the last state was never told")
		}
	}
	t.Error("more hooks than changes")
}

func TestOnlyTheLatestStateCountsWhileAHookRuns(t *testing.T) {
	r := newHookRig(t, 0)
	held := fifo(t)
	in, err := os.OpenFile(held, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	slow := sh("echo begun $LINKBEAT_EVENT $LINKBEAT_SERVER >" + r.pipe + "; read go <" + held +
		"; echo ended $LINKBEAT_EVENT >" + r.pipe)
	r.Configure(config.Hooks{Up: slow, Down: slow})
	release := func() {
		if _, err := in.WriteString("go\n"); err != nil {
			t.Fatal(err)
		}
	}
	r.Up("a")
	r.expect("begun up a")
	for range 1000 { // it blocks nobody, and nothing queues up
		r.Down("a", "flapping")
		r.Up("b")
	}
	r.Down("b", "for good")
	release()
	r.expect("ended up", "begun down b")
	r.Up("b")
	r.Down("b", "back where it was")
	release()
	r.expect("ended down")
	r.Up("c")
	r.expect("begun up c") // and nothing for b
	release()
	r.expect("ended up")
}

func TestAFailingHookIsSaidOnce(t *testing.T) {
	r := newHookRig(t, 0)
	r.Configure(config.Hooks{Up: sh("echo up >" + r.pipe + "; echo no LED >&2; exit 1"), Down: r.says("down")})
	for range 3 {
		r.Up("a")
		r.expect("up")
		r.Down("a", "lost")
		r.expect("down")
	}
	r.Configure(config.Hooks{Up: sh("echo shines; echo brightly >&2; echo up >" + r.pipe)})
	r.Up("a")
	r.expect("up")
	r.stop()
	log := r.log.String()
	for text, want := range map[string]int{"hook up failed": 1, "hook up works again": 1, "hook down": 0, `"output":"no LED"`: 3,
		`"level":"debug","output":"shines\nbrightly","message":"hook up says"`: 1} {
		if n := strings.Count(log, text); n != want {
			t.Errorf("%q is said %d times, want %d: %s", text, n, want, log)
		}
	}
}

func TestAHookThatHangsIsKilled(t *testing.T) {
	r := newHookRig(t, 50*time.Millisecond)
	r.Configure(config.Hooks{Up: []string{"sleep", "3600"}})
	r.Up("a")
	r.stop() // which waits for the hook
	if log := r.log.String(); strings.Count(log, "took too long and was killed after 50ms") != 1 {
		t.Error(log)
	}
}

func TestTheLastHookRunsAtTheStop(t *testing.T) {
	r := newHookRig(t, 0)
	r.Configure(config.Hooks{Up: r.says("up"), Down: r.says("down $LINKBEAT_WHY")})
	r.Ended("stopped") // nothing was up
	r.Up("a")
	r.expect("up")
	go func() { // run waits for the hook, and the hook for its reader
		r.Ended("stopped")
		r.stop()
	}()
	r.expect("down stopped")
}

func TestTheOutputOfAHookIsBounded(t *testing.T) {
	r := newHookRig(t, 0)
	r.Configure(config.Hooks{Up: sh("head -c 100000 /dev/zero | tr '\\0' x; echo up >" + r.pipe)})
	r.Up("a")
	r.expect("up")
	r.stop()
	if n := strings.Count(r.log.String(), "x"); n != hookMax {
		t.Errorf("%d bytes are logged, want %d", n, hookMax)
	}
}
