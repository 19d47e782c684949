package spool

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// noteBytes is what a note takes on disk.
const noteBytes = recordHeader + 1

// years is long enough to make everything too old.
const years = 10 * 365 * 24 * time.Hour

// gateway is a machine with a clock that anybody may set, and what has really passed.
type gateway struct {
	fs       *memFS
	s        *Spool
	o        Options
	passed   time.Duration // since the test began
	up       time.Duration // since the boot
	boot     uint32
	wrong    time.Duration // what the wall clock is ahead
	believed bool
}

func bootGateway(t testing.TB, o Options) *gateway {
	t.Helper()
	g := &gateway{fs: newMemFS(), boot: 1, believed: true}
	o.Now = func() time.Time { return time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC).Add(g.passed + g.wrong) }
	o.Clock = Clock{Uptime: func() time.Duration { return g.up }, Believed: func() bool { return g.believed }}
	g.o = o
	g.start(t)
	return g
}

func (g *gateway) start(t testing.TB) {
	t.Helper()
	g.o.Clock.Boot = g.boot
	s, err := Open(g.fs, g.o)
	if err != nil {
		t.Fatal(err)
	}
	g.s = s
	g.s.tend(g.o.Now())
}

// wait lets time pass.
func (g *gateway) wait(d time.Duration) {
	g.passed, g.up = g.passed+d, g.up+d
	g.s.tend(g.o.Now())
}

// set sets the wall clock to so much ahead; nobody believes it then.
func (g *gateway) set(wrong time.Duration) {
	g.wrong, g.believed = wrong, false
	g.s.tend(g.o.Now())
}

// synced is NTP, which is right and believed.
func (g *gateway) synced() {
	g.wrong, g.believed = 0, true
	g.s.tend(g.o.Now())
}

// kill is a SIGKILL and another start, within the same boot.
func (g *gateway) kill(t testing.TB) {
	t.Helper()
	g.fs = g.fs.kill()
	g.start(t)
}

// reboot is a kill, a while without power, and a boot with a clock that is so much ahead.
func (g *gateway) reboot(t testing.TB, off, wrong time.Duration) {
	t.Helper()
	g.fs = g.fs.kill()
	g.passed, g.up, g.boot, g.wrong, g.believed = g.passed+off, 10*time.Second, g.boot+1, wrong, false
	g.start(t)
}

func (g *gateway) add(t testing.TB) {
	t.Helper()
	if _, err := g.s.Append("m", []byte("frame")); err != nil {
		t.Fatal(err)
	}
}

// TestAClockThatIsSetDropsNothing: an hour of frames waits, max_age is a day, and the wall clock says what it likes. In each
// story less than a day passes, or none that anybody could know of.
func TestAClockThatIsSetDropsNothing(t *testing.T) {
	in1970 := time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC).Sub(time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC))
	const in2061 = 35 * 365 * 24 * time.Hour
	for name, story := range map[string]func(g *gateway){
		"ten years on while up":   func(g *gateway) { g.set(years); g.wait(time.Hour) },
		"1970 while up, and back": func(g *gateway) { g.set(in1970); g.wait(time.Hour); g.synced(); g.wait(time.Hour) },
		"2061, killed, set":       func(g *gateway) { g.set(in2061); g.kill(t); g.wait(time.Hour); g.synced() },
		"2061 at boot, then set":  func(g *gateway) { g.reboot(t, time.Minute, in2061); g.wait(time.Hour); g.synced() },
		"1970 at boot, then set":  func(g *gateway) { g.reboot(t, time.Minute, in1970); g.wait(time.Hour); g.synced() },
		"two boots, 1970 and 2061": func(g *gateway) {
			g.reboot(t, 0, in1970)
			g.wait(time.Hour)
			g.reboot(t, 0, in2061)
			g.wait(time.Hour)
		},
		"2061, frames, set, killed, frames, rebooted": func(g *gateway) {
			g.set(in2061)
			g.add(t)
			g.synced()
			g.kill(t)
			g.add(t)
			g.reboot(t, time.Minute, 0)
			g.synced()
		},
		"1970, frames, rebooted, right": func(g *gateway) {
			g.set(in1970)
			g.add(t)
			g.reboot(t, time.Minute, 0)
			g.synced()
		},
		"off for a week, and nobody vouches for the clock": func(g *gateway) {
			g.reboot(t, 7*24*time.Hour, 0)
			g.wait(time.Hour)
		},
		"back and forth between frames": func(g *gateway) {
			for _, wrong := range []time.Duration{years, -years, in2061, in1970, 0} {
				g.set(wrong)
				g.add(t)
				g.wait(time.Minute)
				g.kill(t)
			}
			g.synced()
		},
	} {
		for _, after := range []time.Duration{0, 5 * time.Second} {
			t.Run(fmt.Sprintf("%s, write_after %s", name, after), func(t *testing.T) {
				g := bootGateway(t, Options{MaxAge: 24 * time.Hour, WriteAfter: after, SegmentBytes: 1 << 10, MinFreeBytes: 1})
				for range 60 {
					g.add(t)
					g.wait(time.Minute)
				}
				story(g)
				g.wait(6 * time.Second)
				if st := g.s.Status(); st.Evicted != 0 || st.Waiting < 60 {
					t.Fatalf("%+v", st)
				}
			})
		}
	}
}

// TestWhatIsTooOldGoes holds the other side: what has waited for longer than max_age goes, by every clock that can tell.
func TestWhatIsTooOldGoes(t *testing.T) {
	for name, story := range map[string]func(g *gateway){
		"while up, with a wrong clock": func(g *gateway) { g.set(-years); g.wait(25 * time.Hour) },
		"over a kill, wrong clock": func(g *gateway) {
			g.set(-years)
			g.wait(12 * time.Hour)
			g.kill(t)
			g.wait(13 * time.Hour)
		},
		"off for long, believed":   func(g *gateway) { g.reboot(t, 48*time.Hour, 0); g.synced() },
		"the same, believed later": func(g *gateway) { g.reboot(t, 48*time.Hour, years); g.wait(time.Minute); g.synced() },
		"two boots that nobody dated": func(g *gateway) {
			g.set(years)
			g.reboot(t, 0, 0)
			g.wait(13 * time.Hour)
			g.add(t)
			g.reboot(t, 0, 0)
			g.wait(12 * time.Hour)
		},
		"believed only after the frame": func(g *gateway) { g.synced(); g.add(t); g.reboot(t, 25*time.Hour, 0); g.synced() },
	} {
		t.Run(name, func(t *testing.T) {
			g := bootGateway(t, Options{MaxAge: 24 * time.Hour, SegmentBytes: 1 << 10, MinFreeBytes: 1})
			g.set(years)
			g.add(t)
			if name[0] == 'o' || name[0] == 't' { // the machine was off, and its clock was right before
				g.synced()
				g.add(t)
			}
			story(g)
			if st := g.s.Status(); st.Evicted == 0 {
				t.Fatalf("%+v", st)
			}
		})
	}
}

// TestAgesArePassedTime is both at random: what is evicted for its age has really waited that long, whatever was set, killed and
// switched off; and Record.Time tells how long ago it was, within a boot whose clock nobody has set.
func TestAgesArePassedTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := bootGateway(&testing.T{}, Options{MaxAge: time.Hour, SegmentBytes: 512, MinFreeBytes: 1,
			WriteAfter: rapid.SampledFrom([]time.Duration{0, 5 * time.Second}).Draw(t, "write after")})
		type birth struct {
			at   time.Duration
			boot uint32
		}
		born, stepped := map[string]birth{}, map[uint32]bool{}
		for i := range rapid.IntRange(1, 60).Draw(t, "steps") {
			some := time.Duration(rapid.IntRange(0, 3000).Draw(t, "s")) * time.Second
			wrong := rapid.SampledFrom([]time.Duration{0, years, -years, 3 * years, -5 * years,
				time.Hour, -time.Minute}).Draw(t, "wrong")
			switch rapid.SampledFrom([]string{"add", "add", "add", "wait", "set", "sync", "kill", "reboot"}).Draw(t, "what") {
			case "add":
				word := fmt.Sprint(i)
				if _, err := g.s.Append("m", []byte(word)); err != nil {
					t.Fatal(err)
				}
				born[word] = birth{g.passed, g.boot}
			case "wait":
				g.wait(some)
			case "set":
				stepped[g.boot] = true
				g.set(wrong)
			case "sync":
				stepped[g.boot] = stepped[g.boot] || g.wrong != 0
				g.synced()
			case "kill":
				g.wait(7 * time.Second) // all is on disk
				g.kill(&testing.T{})
			case "reboot":
				g.wait(7 * time.Second)
				g.reboot(&testing.T{}, some, wrong)
			}
		}
		g.wait(6 * time.Second)
		records, err := (&peeker{}).peek(g.s, 0, 1000, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		have := map[string]bool{}
		for _, r := range records {
			have[string(r.Data)] = true
			b := born[string(r.Data)]
			age, known := g.o.Now().Sub(r.Time), r.Gap == nil && b.boot == g.boot && !stepped[g.boot]
			if known && (age-(g.passed-b.at)).Abs() > noteDrift {
				t.Fatalf("%q is %s old, and says %s", r.Data, g.passed-b.at, age)
			}
		}
		for word, b := range born {
			if !have[word] && g.passed-b.at <= g.o.MaxAge {
				t.Fatalf("%q went after %s", word, g.passed-b.at)
			}
		}
	})
}

// TestWhatAnEarlierVersionLeftIsLate: without a note nobody knows how old a record is. Nothing is dropped for that, but one that
// was written long ago by the clock of then is told as old, so that it is marked late and paced.
func TestWhatAnEarlierVersionLeftIsLate(t *testing.T) {
	g := bootGateway(t, Options{MaxAge: time.Hour, MinFreeBytes: 1})
	g.add(t)
	file := g.fs.files[segmentName(1)]
	file.data = append([]byte(segmentMagic), file.data[len(segmentMagic)+noteBytes:]...)
	g.passed, g.up = g.passed+2*time.Hour, g.up+2*time.Hour
	g.kill(t)
	records, err := (&peeker{}).peek(g.s, 0, 10, 1<<20)
	if err != nil || len(records) == 0 || records[0].Gap != nil {
		t.Fatalf("%+v, %v", records, err)
	}
	if age := g.o.Now().Sub(records[0].Time); age != 2*time.Hour {
		t.Fatalf("%s old", age)
	}
	g.s.Release()
	g.wait(61 * time.Minute)
	if st := g.s.Status(); st.Evicted != 1 {
		t.Fatalf("kept for ever: %+v", st)
	}
}
