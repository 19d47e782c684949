package downlink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/linkbeat/linkbeat/agent/clock"
	"github.com/linkbeat/linkbeat/agent/flood"
	"github.com/linkbeat/linkbeat/agent/record"
	"github.com/linkbeat/linkbeat/agent/spool"
	"github.com/linkbeat/linkbeat/agent/spool/spooltest"
	"github.com/linkbeat/linkbeat/agent/supervise"
	"github.com/linkbeat/linkbeat/agent/wire"
	bridge "github.com/linkbeat/linkbeat/firmware-bridge"
	"github.com/linkbeat/linkbeat/transport"
)

// downlinkRig is a downlink with a device that tests script.
type downlinkRig struct {
	*Downlink
	written chan string
	outcome error             // of the next write, when it comes to its turn
	refusal error             // of the next write, at once
	targets map[string]Target // others
	lookup  func()            // called before each look at a target; nil: nothing
	reader  *spool.Reader     // of the replies
	stop    func()
}

func newDownlinkRig(t *testing.T, dir string) *downlinkRig {
	return newDownlinkRigWith(t, dir, time.Now(), flood.NewAnswers())
}

// newDownlinkRigAt is newDownlinkRig by a clock that says so, which answers as many as a test sends. What its journal lost says
// Why.
func newDownlinkRigAt(t *testing.T, dir string, now time.Time) *downlinkRig {
	return newDownlinkRigWith(t, dir, now, &flood.Answers{Bucket: flood.Bucket{Burst: 1000, PerMinute: 6}})
}

func newDownlinkRigWith(t *testing.T, dir string, now time.Time, answers *flood.Answers) *downlinkRig {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	j, err := OpenJournal(root, now)
	if (err == nil) != (j.Why() == "") {
		t.Fatalf("%v, but why is %q", err, j.Why())
	}
	r := &downlinkRig{written: make(chan string, 100)}
	device := func(name string) (Target, bool) {
		if r.lookup != nil {
			r.lookup()
		}
		if t, ok := r.targets[name]; ok {
			return t, true
		}
		return Target{Commands: name == "meter", Write: r.write}, name == "meter" || name == "readonly"
	}
	r.Downlink = New(device, spooltest.Open(t), j, clock.New(time.Time{}), zerolog.Nop(),
		(&supervise.Liveness{}).Loop("commands"))
	r.answers, r.reader = answers, r.replies.Reader(nil)
	r.at(now)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	r.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		root.Close()
	}
	return r
}

func (r *downlinkRig) write(p []byte, _ time.Time, done func(error)) error {
	if r.refusal != nil {
		return r.refusal
	}
	r.written <- string(p)
	done(r.outcome)
	return nil
}

func (r *downlinkRig) send(name, payload string, retained bool) {
	r.deliver(name+"/write", payload, retained)
}

func (d *Downlink) deliver(what, payload string, retained bool) {
	for _, suffix := range []string{"/write", "/request"} {
		if strings.HasSuffix(what, suffix) {
			m := transport.Message{Topic: "lb/gw/dn/cmd/" + what, Payload: []byte(payload)}
			d.Handler("lb/gw/dn/cmd/{name}"+suffix)(m, retained)
		}
	}
}

// reply waits for the next reply and tells for which device it is.
func (r *downlinkRig) reply(t *testing.T) (string, wire.Reply) {
	t.Helper()
	for {
		records, err := r.reader.Next(nil, 1, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if len(records) == 1 {
			name, payload, err := record.ParseReply(records[0].Data)
			if err != nil {
				t.Fatal(err)
			}
			reply, err := wire.ParseReply(payload)
			if err != nil {
				t.Fatal(err)
			}
			return name, reply
		}
		select {
		case <-r.replies.Ready():
		case <-time.After(10 * time.Second):
			t.Fatal("no reply")
		}
	}
}

func soon() int64 { return time.Now().Add(time.Minute).UnixMilli() }

func TestEveryCommandIsAnswered(t *testing.T) {
	past := time.Now().Add(-time.Second).UnixMilli()
	good := func(id string) string { return fmt.Sprintf(`{"id":"%s","expires":%d,"text":"x"}`, id, soon()) }
	for name, c := range map[string]struct {
		device, payload  string
		kind             string // of command; empty: a write
		retained         bool
		refusal, outcome error
		want             wire.ErrorCode
	}{
		"written and drained": {device: "meter", payload: good("a")},
		"hex":                 {device: "meter", payload: fmt.Sprintf(`{"id":"a","expires":%d,"hex":"78"}`, soon())},
		"retained":            {device: "meter", payload: good("a"), retained: true, want: wire.Retained},
		"malformed":           {device: "meter", payload: `{"id":"a","expires":1}`, want: wire.Malformed},
		"no expires":          {device: "meter", payload: `{"id":"a","text":"x"}`, want: wire.NoExpiry},
		"expired": {device: "meter", payload: fmt.Sprintf(`{"id":"a","expires":%d,"text":"x"}`, past),
			want: wire.Expired},
		"unknown device":       {device: "nope", payload: good("a"), want: wire.UnknownDevice},
		"commands not allowed": {device: "readonly", payload: good("a"), want: wire.Denied},
		"queue full":           {device: "meter", payload: good("a"), refusal: bridge.ErrBusy, want: wire.Busy},
		"too large":            {device: "meter", payload: good("a"), refusal: bridge.ErrTooLarge, want: wire.TooLarge},
		"port absent":          {device: "meter", payload: good("a"), refusal: bridge.ErrNotOpen, want: wire.Failed},
		"too far ahead": {device: "meter", payload: fmt.Sprintf(`{"id":"a","expires":%d,"text":"x"}`,
			time.Now().Add(25*time.Hour).UnixMilli()), want: wire.Malformed},
		"a request": {device: "meter", kind: "/request", payload: good("a"), want: wire.Failed},
		"values": {device: "meter", payload: fmt.Sprintf(`{"id":"a","expires":%d,"values":{"x":1}}`, soon()),
			want: wire.Malformed},
		"a retained request":    {device: "meter", kind: "/request", payload: good("a"), retained: true, want: wire.Retained},
		"expired in the queue":  {device: "meter", payload: good("a"), outcome: bridge.ErrExpired, want: wire.Expired},
		"the device takes none": {device: "meter", payload: good("a"), outcome: bridge.ErrStuck, want: wire.Timeout},
		"unplugged on the way":  {device: "meter", payload: good("a"), outcome: bridge.ErrLost, want: wire.UnknownOutcome},
		"of another type":       {device: "meter", payload: `{"id":"a","expires":"tomorrow","text":"x"}`, want: wire.Malformed},
		"a doubled key": {device: "meter", payload: fmt.Sprintf(`{"id":"a","expires":%d,"text":"x","text":"y"}`,
			soon()), want: wire.Malformed},
		"a key in another case": {device: "meter", payload: fmt.Sprintf(`{"ID":"a","expires":%d,"text":"x"}`, soon()),
			want: wire.Malformed},
		"two ids": {device: "meter", payload: fmt.Sprintf(`{"id":"a","Id":"b","expires":%d,"text":"x"}`, soon()),
			want: wire.Malformed},
		"half of a character": {device: "meter", payload: fmt.Sprintf(`{"id":"a","expires":%d,"text":"\udc00"}`, soon()),
			want: wire.Malformed},
		"something else failing": {device: "meter", payload: good("a"), outcome: errors.New("burnt"), want: wire.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			r := newDownlinkRig(t, t.TempDir())
			defer r.stop()
			r.refusal, r.outcome = c.refusal, c.outcome
			if c.kind == "" {
				c.kind = "/write"
			}
			r.deliver(c.device+c.kind, c.payload, c.retained)
			device, reply := r.reply(t)
			if device != c.device || reply.ID != "a" || reply.Error != c.want || reply.OK != (c.want == "") {
				t.Fatalf("%s: %+v", device, reply)
			}
			wrote := len(r.written) == 1
			if want := c.want == "" || c.outcome != nil; wrote != want {
				t.Fatalf("written: %v", wrote)
			}
			n := r.Status()
			if n.Received != 1 || n.Received != n.Done+n.Failed+n.Refused+n.Running+n.Overflowed {
				t.Fatalf("counters do not balance: %+v", n)
			}
		})
	}
}

// Two ids of which only halves of a character differ would be one id: a command under such an id is not carried out, and what was
// carried out under the id that it looks like is not its answer.
func TestAMalformedCommandIsNeverAnotherOne(t *testing.T) {
	r := newDownlinkRig(t, t.TempDir())
	defer r.stop()
	for _, c := range []struct {
		id   string
		want wire.ErrorCode
	}{{`\ufffd`, ""}, {`\ud800`, wire.Malformed}, {`\udbff`, wire.Malformed}, {`\ufffd`, ""}} {
		r.send("meter", fmt.Sprintf(`{"id":"%s","expires":%d,"text":"x"}`, c.id, soon()), false)
		if _, reply := r.reply(t); reply.Error != c.want || c.want != "" && !strings.Contains(reply.Detail,
			"half of a surrogate pair") {
			t.Errorf("%s: %+v", c.id, reply)
		}
	}
	if n := len(r.written); n != 1 {
		t.Errorf("written %d times", n)
	}
}

func TestACommandIsWrittenOnceOverARestart(t *testing.T) {
	dir := t.TempDir()
	payload := fmt.Sprintf(`{"id":"once","expires":%d,"text":"x"}`, soon())
	r := newDownlinkRig(t, dir)
	for range 3 {
		r.send("meter", payload, false)
		if _, reply := r.reply(t); !reply.OK {
			t.Fatalf("%+v", reply)
		}
	}
	r.stop()
	r = newDownlinkRig(t, dir)
	defer r.stop()
	r.send("meter", payload, false)
	if _, reply := r.reply(t); !reply.OK {
		t.Fatalf("%+v", reply)
	}
	if n := len(r.written); n != 0 {
		t.Fatalf("written again, %d times", n)
	}
}

func TestACommandCutByAKillIsAnsweredOnce(t *testing.T) {
	dir := t.TempDir()
	j := openTestJournal(t, dir)
	if err := j.begin(command{name: "meter", id: "cut", expires: soon()}, time.Now()); err != nil {
		t.Fatal(err)
	}
	r := newDownlinkRig(t, dir) // the process before was killed
	if device, reply := r.reply(t); device != "meter" || reply.ID != "cut" || reply.Error != wire.UnknownOutcome {
		t.Fatalf("%s %+v", device, reply)
	}
	r.stop()
	again := newDownlinkRig(t, dir)
	defer again.stop()
	again.send("meter", `{"id":"cut","text":"x","expires":`+fmt.Sprint(soon())+`}`, false)
	if _, reply := again.reply(t); reply.Error != wire.UnknownOutcome {
		t.Fatalf("%+v", reply)
	}
	if len(again.written) != 0 {
		t.Fatal("written after all")
	}
}

func TestCommandsWaitForTheClock(t *testing.T) {
	r := newDownlinkRig(t, t.TempDir())
	defer r.stop()
	r.clock.Built = time.Now().Add(time.Hour)
	r.send("meter", `{"id":"a","expires":1,"text":"x"}`, false)
	if _, reply := r.reply(t); reply.Error != wire.ClockUnset {
		t.Fatalf("%+v", reply)
	}
}

// Nobody takes commands here: what happens to them happens on the link's reader.
func TestAFloodOfCommandsIsBoundedAndCounted(t *testing.T) {
	for name, c := range map[string]struct {
		sent                        int
		payload                     string
		waiting, turned, overflowed int
	}{
		"with ids":    {intakeMessages + 7, `{"id":"a"}`, intakeMessages, 7, 0},
		"without ids": {intakeMessages + 7, `{}`, intakeMessages, 0, 7},
		"many more":   {intakeMessages + 1000, `{"id":"a"}`, intakeMessages, 10, 990},
		"large ones":  {3, fmt.Sprintf(`{"id":"a","text":%q}`, strings.Repeat("x", intakeBytes/2-100)), 2, 1, 0},
		"too large":   {1, fmt.Sprintf(`{"id":"a","text":%q}`, strings.Repeat("x", intakeBytes)), 0, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			d := New(nil, nil, nil, clock.Clock{}, zerolog.New(&log), nil)
			for range c.sent {
				d.deliver("meter/write", c.payload, false)
			}
			if n := d.Status(); len(d.intake) != c.waiting || len(d.rejected) != c.turned || int(n.Overflowed) != c.overflowed ||
				int(n.Received) != c.sent {
				t.Fatalf("%d waiting, %d turned away, %+v", len(d.intake), len(d.rejected), n)
			}
			if lines := strings.Count(log.String(), "\n"); name != "too large" && lines != 1 {
				t.Fatalf("%d log lines:\n%s", lines, &log)
			}
		})
	}
}

// A gateway that is flooded answers all the same.
func TestWhatTheIntakeDoesNotTakeIsAnswered(t *testing.T) {
	r := newDownlinkRig(t, t.TempDir())
	defer r.stop()
	for name, want := range map[string]rejected{
		"flood":     {name: "meter", id: "flood", code: wire.Busy},
		"too large": {name: "meter", id: "large", code: wire.TooLarge},
	} {
		r.rejected <- want
		if device, reply := r.reply(t); device != want.name || reply.ID != want.id || reply.Error != want.code {
			t.Fatalf("%s: %s %+v", name, device, reply)
		}
	}
	r.send("meter", fmt.Sprintf(`{"id":"done","expires":%d,"text":"x"}`, soon()), false)
	if _, reply := r.reply(t); !reply.OK {
		t.Fatalf("%+v", reply)
	}
	r.rejected <- rejected{name: "meter", id: "done", code: wire.Busy} // came again in a flood
	if _, reply := r.reply(t); !reply.OK {
		t.Fatalf("a command that was carried out is %+v", reply)
	}
	r.send("meter", fmt.Sprintf(`{"id":"huge","text":%q}`, strings.Repeat("x", intakeBytes)), false)
	if _, reply := r.reply(t); reply.ID != "huge" || reply.Error != wire.TooLarge {
		t.Fatalf("%+v", reply)
	}
}

// The broker has our acknowledgement of what waits in the intake, and will not send it again.
func TestCommandsThatWaitAtTheStopAreAnswered(t *testing.T) {
	r := newDownlinkRig(t, t.TempDir())
	r.stop()
	for i := range 3 {
		r.send("meter", fmt.Sprintf(`{"id":"w%d","expires":%d,"text":"x"}`, i, soon()), false)
	}
	r.rejected <- rejected{name: "meter", id: "w3", code: wire.Busy}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.loop = (&supervise.Liveness{}).Loop("commands")
	if err := r.Run(ctx); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for range 4 {
		_, reply := r.reply(t)
		if reply.Error != wire.Busy {
			t.Errorf("%+v", reply)
		}
		seen[reply.ID] = true
	}
	if len(seen) != 4 {
		t.Fatalf("answered: %v", seen)
	}
	if n := r.Status(); n.Received+1 != n.Done+n.Failed+n.Refused+n.Running+n.Overflowed { // w3 did not come through the handler
		t.Fatalf("counters do not balance: %+v", n)
	}
}

// What a crash cut is answered once, not at each start.
func TestUnknownOutcomeIsSaidOnce(t *testing.T) {
	dir := t.TempDir()
	if err := openTestJournal(t, dir).begin(command{name: "meter", id: "cut", expires: soon()}, time.Now()); err != nil {
		t.Fatal(err)
	}
	for start, want := range []int64{1, 0, 0} {
		r := newDownlinkRig(t, dir)
		r.send("readonly", fmt.Sprintf(`{"id":"last%d","expires":%d,"text":"x"}`, start, soon()), false)
		for answered := int64(0); ; answered++ {
			if _, reply := r.reply(t); reply.ID != "cut" {
				if answered != want {
					t.Fatalf("start %d: answered %d times, want %d", start, answered, want)
				}
				break
			}
		}
		r.stop()
	}
}

// A command in a device's queue becomes too old by what passes: its deadline has a monotonic part.
func TestADeadlineIsNotOfTheWallClock(t *testing.T) {
	d := deadline(time.Now().Add(time.Minute).UnixMilli())
	if in := time.Until(d); in > time.Minute || in < 50*time.Second || d == d.Round(0) {
		t.Fatalf("%v, in %v", d, in)
	}
}
