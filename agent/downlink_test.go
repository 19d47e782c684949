package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/linkbeat/linkbeat/agent/spool"
	"github.com/linkbeat/linkbeat/agent/wire"
	bridge "github.com/linkbeat/linkbeat/firmware-bridge"
	"github.com/linkbeat/linkbeat/transport"
)

// downlinkRig is a downlink with a device that tests script.
type downlinkRig struct {
	*downlink
	written chan string
	outcome error // of the next write, when it comes to its turn
	refusal error // of the next write, at once
	seen    spool.Pos
	stop    func()
}

func newDownlinkRig(t *testing.T, dir string) *downlinkRig {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	j, err := openJournal(root)
	if err != nil {
		t.Fatal(err)
	}
	r := &downlinkRig{written: make(chan string, 100)}
	r.downlink = &downlink{topic: "lb/gw/dn/cmd/{name}/write", replies: openTestSpool(t), journal: j, clock: newClock(time.Time{}),
		log: zerolog.Nop(), pulse: (&pulses{}).of("commands"), intake: make(chan arrival, intakeMessages), outcomes: make(chan outcome, intakeMessages)}
	r.device = func(name string) (target, bool) {
		return target{commands: name == "meter", write: r.write}, name == "meter" || name == "readonly"
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.run(ctx) }()
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
	r.arrived(transport.Message{Topic: "lb/gw/dn/cmd/" + name + "/write", Payload: []byte(payload)}, retained)
}

// reply waits for the next reply and tells for which device it is.
func (r *downlinkRig) reply(t *testing.T) (string, wire.Reply) {
	t.Helper()
	for {
		records, err := r.replies.Peek(r.seen, nil, 1, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if len(records) == 1 {
			r.seen = records[0].Pos
			name, payload, err := parseReply(records[0].Data)
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
		retained         bool
		refusal, outcome error
		want             wire.ErrorCode
	}{
		"written and drained":    {device: "meter", payload: good("a")},
		"hex":                    {device: "meter", payload: fmt.Sprintf(`{"id":"a","expires":%d,"hex":"78"}`, soon())},
		"retained":               {device: "meter", payload: good("a"), retained: true, want: wire.Retained},
		"malformed":              {device: "meter", payload: `{"id":"a","expires":1}`, want: wire.Malformed},
		"no expires":             {device: "meter", payload: `{"id":"a","text":"x"}`, want: wire.NoExpiry},
		"expired":                {device: "meter", payload: fmt.Sprintf(`{"id":"a","expires":%d,"text":"x"}`, past), want: wire.Expired},
		"unknown device":         {device: "nope", payload: good("a"), want: wire.UnknownDevice},
		"commands not allowed":   {device: "readonly", payload: good("a"), want: wire.Denied},
		"queue full":             {device: "meter", payload: good("a"), refusal: bridge.ErrBusy, want: wire.Busy},
		"too large":              {device: "meter", payload: good("a"), refusal: bridge.ErrTooLarge, want: wire.TooLarge},
		"port absent":            {device: "meter", payload: good("a"), refusal: bridge.ErrNotOpen, want: wire.Failed},
		"expired in the queue":   {device: "meter", payload: good("a"), outcome: bridge.ErrExpired, want: wire.Expired},
		"the device takes none":  {device: "meter", payload: good("a"), outcome: bridge.ErrStuck, want: wire.Timeout},
		"unplugged on the way":   {device: "meter", payload: good("a"), outcome: bridge.ErrLost, want: wire.UnknownOutcome},
		"of another type":        {device: "meter", payload: `{"id":"a","expires":"tomorrow","text":"x"}`, want: wire.Malformed},
		"something else failing": {device: "meter", payload: good("a"), outcome: errors.New("burnt"), want: wire.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			r := newDownlinkRig(t, t.TempDir())
			defer r.stop()
			r.refusal, r.outcome = c.refusal, c.outcome
			r.send(c.device, c.payload, c.retained)
			device, reply := r.reply(t)
			if device != c.device || reply.ID != "a" || reply.Error != c.want || reply.OK != (c.want == "") {
				t.Fatalf("%s: %+v", device, reply)
			}
			wrote := len(r.written) == 1
			if want := c.want == "" || c.outcome != nil; wrote != want {
				t.Fatalf("written: %v", wrote)
			}
			n := r.status()
			if n.Received != 1 || n.Received != n.Done+n.Failed+n.Refused+n.Running+n.Overflowed {
				t.Fatalf("counters do not balance: %+v", n)
			}
		})
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
	if err := j.begin("meter", wire.Command{ID: "cut", Expires: soon()}, time.Now()); err != nil {
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
	r.clock.built = time.Now().Add(time.Hour)
	r.send("meter", `{"id":"a","expires":1,"text":"x"}`, false)
	if _, reply := r.reply(t); reply.Error != wire.ClockUnset {
		t.Fatalf("%+v", reply)
	}
}

func TestAFloodOfCommandsIsBoundedAndCounted(t *testing.T) {
	r := &downlink{topic: "lb/gw/dn/cmd/{name}/write", intake: make(chan arrival, intakeMessages)} // nobody takes them
	const sent = intakeMessages + 7
	for range sent {
		r.arrived(transport.Message{Topic: "lb/gw/dn/cmd/meter/write", Payload: []byte("{}")}, false)
	}
	if n := r.status(); n.Overflowed != 7 || len(r.intake) != intakeMessages {
		t.Fatalf("%+v, %d waiting", n, len(r.intake))
	}
	big := &downlink{topic: r.topic, intake: make(chan arrival, intakeMessages)}
	for range 3 {
		big.arrived(transport.Message{Topic: "lb/gw/dn/cmd/meter/write", Payload: make([]byte, intakeBytes/2)}, false)
	}
	if n := big.status(); n.Overflowed != 1 {
		t.Fatalf("bytes are not bounded: %+v", n)
	}
}
