package downlink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/linkbeat/linkbeat/agent/clock"
	"github.com/linkbeat/linkbeat/agent/flood"
	"github.com/linkbeat/linkbeat/agent/spool/spooltest"
	"github.com/linkbeat/linkbeat/agent/supervise"
	"github.com/linkbeat/linkbeat/agent/wire"
	"github.com/linkbeat/linkbeat/transport"
)

// logBuffer is a log that may be read while it is written.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// flooded is what a flood of so many messages has caused.
type flooded struct {
	log     string
	replies int
	paid    int
	device  *downlinkRig
}

// flood sends n messages, spread over a minute of fake time, and looks what came of it two minutes later.
func floodOf(t *testing.T, n int, message func(i int) (topic, payload string, retained bool), spent bool) flooded {
	t.Helper()
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	j, err := OpenJournal(root, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var log logBuffer
	r := &downlinkRig{written: make(chan string, n)}
	device := func(name string) (Target, bool) {
		return Target{Commands: name == "meter", Write: r.write, Rate: nil}, name == "meter" || name == "readonly"
	}
	paid := 0
	loop := (&supervise.Liveness{}).Loop("commands")
	r.Downlink = New(device, spooltest.Open(t), j, clock.New(time.Time{}), zerolog.New(&log), loop)
	var mu sync.Mutex
	r.Charge(flood.Toll{Pay: func(bytes int) { mu.Lock(); paid += bytes; mu.Unlock() }, Spent: func() bool { return spent }})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	for i := range n {
		topic, payload, retained := message(i)
		m := transport.Message{Topic: topic, Payload: []byte(payload), Size: len(topic) + len(payload) + 10}
		r.Handler("lb/gw/dn/cmd/{name}/write")(m, retained)
		if i%50 == 49 {
			time.Sleep(time.Minute * 50 / time.Duration(n))
		}
	}
	time.Sleep(2 * time.Minute)
	synctest.Wait()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	return flooded{log: log.String(), replies: int(r.replies.Status().Accepted), paid: paid, device: r}
}

// What a stranger sends is refused one for one, and costs no more than a few lines and replies a minute, whatever it is.
func TestAFloodOfRefusedCommandsIsCounted(t *testing.T) {
	const n = 2000
	large, long := strings.Repeat("x", intakeBytes), strings.Repeat("d", 60_000)
	future := func() int64 { return time.Now().Add(time.Minute).UnixMilli() }
	const to = "lb/gw/dn/cmd/%s/write"
	for name, message := range map[string]func(i int) (topic, payload string, retained bool){
		"junk": func(int) (string, string, bool) { return fmt.Sprintf(to, "meter"), strings.Repeat("{", 2800), false },
		"junk with an id": func(i int) (string, string, bool) {
			return fmt.Sprintf(to, "meter"), fmt.Sprintf(`{"id":"%d","expires":"x"}`, i), false
		},
		"unknown devices": func(i int) (string, string, bool) {
			return fmt.Sprintf(to, fmt.Sprint("d", i)), fmt.Sprintf(`{"id":"%d","expires":%d,"text":"x"}`, i, future()), false
		},
		"names as long as topics": func(i int) (string, string, bool) {
			return fmt.Sprintf(to, long), fmt.Sprintf(`{"id":"%d","expires":%d,"text":"x"}`, i, future()), false
		},
		"expired": func(i int) (string, string, bool) {
			return fmt.Sprintf(to, "meter"), fmt.Sprintf(`{"id":"%d","expires":1,"text":"x"}`, i), false
		},
		"denied": func(i int) (string, string, bool) {
			return fmt.Sprintf(to, "readonly"), fmt.Sprintf(`{"id":"%d","expires":%d,"text":"x"}`, i, future()), false
		},
		"the same again": func(int) (string, string, bool) {
			return fmt.Sprintf(to, "meter"), fmt.Sprintf(`{"id":"a","expires":%d,"text":"x"}`, future()), false
		},
		"retained": func(i int) (string, string, bool) {
			return fmt.Sprintf(to, fmt.Sprint("d", i)), fmt.Sprintf(`{"id":"%d","expires":%d,"text":"x"}`, i, future()), true
		},
		"too large": func(i int) (string, string, bool) {
			return fmt.Sprintf(to, "meter"), fmt.Sprintf(`{"id":"%d","text":"%s"}`, i, large), false
		},
	} {
		for _, spent := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, spent %v", name, spent), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					got := floodOf(t, n, message, spent)
					lines := strings.Count(got.log, "\n")
					// three minutes, a few kinds at most
					if lines == 0 && name != "the same again" || lines > 12 || len(got.log) > 8<<10 {
						t.Errorf("%d lines of log, %d bytes:\n%.2000s", lines, len(got.log), got.log)
					}
					most := 10 + 3*6 + 1
					if name == "the same again" {
						most, spent = 1+60+3*60+1, false // first replies, which were asked for
					}
					if spent {
						most = 1 // the command that was carried out, in one of the floods
					}
					if got.replies > most || !spent && got.replies == 0 && name != "junk" && !strings.HasPrefix(name, "names") {
						t.Errorf("%d replies", got.replies)
					}
					st := got.device.Status()
					balance := st.Done + st.Failed + st.Refused + st.Running + st.Overflowed
					if st.Received != n || st.Received != balance || st.Unanswered < n-int64(most) {
						t.Errorf("%+v", st)
					}
					if got.paid < n*60-1000 {
						t.Errorf("%d bytes are booked as refused", got.paid)
					}
				})
			})
		}
	}
}

// Retained commands are turned away on the link's reader without anything that costs: none of them waits in front of one that
// was sent.
func TestRetainedCommandsAreRefusedBeforeTheyWait(t *testing.T) {
	var log logBuffer
	d := New(nil, nil, nil, clock.Clock{}, zerolog.New(&log), nil)
	large := fmt.Sprintf(`{"text":%q,"id":"behind"}`, strings.Repeat("x", intakeBytes-100))
	for i := range 4000 {
		payload := fmt.Sprintf(`{"id":"%d"}`, i)
		if i%2 == 1 {
			payload = large
		}
		d.deliver("meter/write", payload, true)
	}
	if len(d.intake) != 0 || len(d.rejected) > 10 || d.waiting.Load() != 0 {
		t.Errorf("%d wait, %d are to be answered, %d bytes", len(d.intake), len(d.rejected), d.waiting.Load())
	}
	if lines := strings.Count(log.String(), "\n"); lines != 1 {
		t.Errorf("%d lines", lines)
	}
	if st := d.Status(); st.Refused+int64(len(d.rejected)) != 4000 || st.Unanswered != st.Refused || st.Overflowed != 0 {
		t.Errorf("%+v", st)
	}
}

// The link subscribes to dn/cmd/+/write, which an empty level matches too: such a command is nobody's, and is booked and counted.
func TestACommandOfNoDeviceIsRefused(t *testing.T) {
	var log logBuffer
	d := New(nil, nil, nil, clock.Clock{}, zerolog.New(&log), nil)
	paid := 0
	d.Charge(flood.Toll{Pay: func(bytes int) { paid += bytes }})
	for _, suffix := range []string{"/write", "/request"} {
		for range 1000 {
			d.Handler("lb/gw/dn/cmd/{name}"+suffix)(transport.Message{Topic: "lb/gw/dn/cmd/" + suffix, Size: 30}, false)
		}
	}
	if lines := strings.Count(log.String(), "\n"); paid != 2*1000*30 || lines != 1 || len(d.intake) != 0 {
		t.Errorf("%d bytes are booked as refused, %d lines", paid, lines)
	}
}

// A reply never carries more of a stranger's bytes than a line.
func TestARefusalIsShortWhateverItRefuses(t *testing.T) {
	r := newDownlinkRig(t, t.TempDir())
	defer r.stop()
	r.targets = map[string]Target{"unit": {Commands: true, Set: nil, Fits: nil, Write: r.write}}
	r.refusal = errors.New(strings.Repeat("é", 100_000))
	r.send("meter", fmt.Sprintf(`{"id":"a","expires":%d,"text":"x"}`, soon()), false)
	if _, reply := r.reply(t); len(reply.Detail) > detailBytes || !strings.HasSuffix(reply.Detail, "é…") {
		t.Errorf("%d bytes: %q", len(reply.Detail), reply.Detail)
	}
}

// Commands that are far from expiring must not lock out others, nor other devices, now or after a restart.
func TestTheJournalIsShared(t *testing.T) {
	now := time.Now()
	begin := func(t *testing.T, j *Journal, name string, n int, ahead time.Duration) (taken int) {
		for i := range n {
			id := fmt.Sprint(name, ahead, i)
			c := command{name: name, id: id, expires: now.Add(ahead).UnixMilli()}
			err := j.room(c, now) // and not begin: a sync for each of thousands is not what is tried here
			switch {
			case err == nil:
				taken++
				j.entries[id] = &journalEntry{ID: id, Name: name, Expires: c.expires, Reply: &wire.Reply{ID: id, OK: true}}
			case !errors.Is(err, errJournalFull):
				t.Fatal(err)
			case !strings.Contains(err.Error(), "nearer expires"):
				t.Fatalf("what to do next is not said: %v", err)
			}
		}
		return taken
	}
	for name, c := range map[string]struct {
		devices int
		ahead   time.Duration
		most    int
	}{
		"one device, a day ahead":         {1, 23 * time.Hour, journalFarMax / 2},
		"one device, ten minutes ahead":   {1, 10 * time.Minute, journalFarMax / 2},
		"many devices, a day ahead":       {20, 23 * time.Hour, journalFarMax},
		"one device, half a minute ahead": {1, 30 * time.Second, journalPool / 2},
		"many devices, as near":           {20, 30 * time.Second, journalPool + 20*journalLeast},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			j := openTestJournal(t, dir)
			taken := 0
			for d := range c.devices {
				taken += begin(t, j, fmt.Sprint("d", d), 2*journalPool/c.devices, c.ahead)
			}
			if taken > c.most || taken < c.most/2 {
				t.Errorf("%d were taken, of at most %d", taken, c.most)
			}
			if err := j.rewrite(now); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if begin(t, j, "other", 1, 23*time.Hour)+begin(t, j, "other", 1, 30*time.Second) < 1 {
					t.Error("another device is locked out")
				}
				if c.ahead > journalFar && begin(t, j, "d0", 1, 31*time.Second) != 1 {
					t.Error("the device takes nothing that expires soon")
				}
				delete(j.entries, "d0"+"31s0")
				j = openTestJournal(t, dir) // over a restart
				if j.cut = nil; len(j.entries) < taken {
					t.Errorf("%d of %d are known after the restart", len(j.entries), taken)
				}
			}
		})
	}
}

// A journal that is full is not written again for each command that it has no room for.
func TestAFullJournalIsNotWrittenForWhatItRefuses(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	j := openTestJournal(t, dir)
	for i := range journalMax {
		id := fmt.Sprint(i)
		j.entries[id] = &journalEntry{ID: id, Expires: now.Add(time.Hour).UnixMilli(), Reply: &wire.Reply{ID: id, OK: true}}
	}
	for i := range 100 {
		if err := j.begin(testCommand(fmt.Sprint("x", i), now.Add(time.Minute)), now); !errors.Is(err, errJournalFull) {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(dir + "/" + journalFile); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("written: %v", err)
	}
}

// The default rate lets bursts through, and no more than it says.
func TestTheRateOfADevice(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		limits        Limits
		burst, minute int // at once, and within a minute of trying
	}{
		"the default":       {Limits{PerMinute: 600, Burst: 60}, 60, 660},
		"of a document":     {Limits{PerMinute: 30}, 30, 60},
		"one and no more":   {Limits{PerMinute: 1}, 1, 2},
		"no limit, as said": {Limits{}, 6001, 6001},
	} {
		r, atOnce, all := NewRate(c.limits), 0, 0
		for i := range 6001 {
			if r.take(now.Add(time.Duration(i) * 10 * time.Millisecond)) {
				all++
			}
		}
		for r = NewRate(c.limits); atOnce < 6001 && r.take(now); atOnce++ {
		}
		if atOnce != c.burst || all < c.minute-1 || all > c.minute {
			t.Errorf("%s: %d at once, %d in a minute", name, atOnce, all)
		}
	}
}
