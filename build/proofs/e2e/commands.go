package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// expiry of commands that should be carried out.
const expiry = 30 * time.Second

// Commands sends writes of every kind down and wants each of the documented answers.
func Commands(e *kit.Env, t *kit.Table) error {
	r, err := newRig(e, rigOptions{id: "gw-cmd", scheme: "mqtt", devices: []string{"plc", "meter"},
		more: func(d kit.Doc) { d.Set("serial.plc.commands", true) }})
	if err != nil {
		return err
	}
	// A retained command is only marked as such when it meets a new subscription: it must lie there before the agent comes.
	retained := fmt.Sprintf(`{"id":"kept","expires":%d,"text":"kept"}`, time.Now().Add(time.Hour).UnixMilli())
	topic := r.agent.Topic("dn/cmd/plc/write")
	if err := r.sub.Publish(e.Ctx, topic, true, retained); err != nil {
		return err
	}
	if err := r.ready(); err != nil {
		return err
	}
	t.Check("a retained command is refused", r.refusesRetained(topic))
	t.Check("text, hex and base64 are written, with the delimiter", r.writesAll())
	t.Check("a duplicate is answered and not written again", r.duplicate())
	text := map[string]any{"text": "x"}
	t.Check("expired", r.wantError("plc", "late", -time.Second, text, "expired"))
	t.Check("no_expiry", r.wantError("plc", "endless", 0, text, "no_expiry"))
	t.Check("denied", r.wantError("meter", "no", expiry, text, "denied"))
	t.Check("unknown_device", r.wantError("nobody", "who", expiry, text, "unknown_device"))
	t.Check("too_large", r.wantError("plc", "big", expiry, map[string]any{"text": strings.Repeat("x", 5000)}, "too_large"))
	t.Check("nonsense changes nothing", r.nonsense())
	t.Check("busy at once when the device stalls, and all others done after it", r.busy())
	t.Check("killed in the middle of a write: unknown_outcome", r.unknownOutcome())
	s, err := r.agent.Status()
	if err != nil {
		return err
	}
	t.Check("every counter balances", balance(s))
	return r.agent.Term()
}

func (r *rig) refusesRetained(topic string) error {
	got, err := r.answer("plc", "kept", 1)
	if err != nil {
		return err
	}
	if got.OK || got.Error != "retained" {
		return fmt.Errorf("reply %+v, want error \"retained\"", got)
	}
	if b := r.ttys["plc"].Received(); len(b) > 0 {
		return fmt.Errorf("the device got %q", b)
	}
	return r.sub.Publish(r.e.Ctx, topic, true, "")
}

func (r *rig) writesAll() error {
	payload := []byte("\x01\x02 set 5")
	for i, fields := range []map[string]any{
		{"text": "set 5"}, {"text": "set 5\n"}, // the delimiter is added unless it is there
		{"hex": hex.EncodeToString(payload)}, {"base64": base64.StdEncoding.EncodeToString(payload)},
	} {
		id := fmt.Sprint("w", i)
		if err := r.send("plc", id, expiry, fields); err != nil {
			return err
		}
		if err := r.done("plc", id); err != nil {
			return fmt.Errorf("%v: %w", fields, err)
		}
	}
	want := "set 5\nset 5\n\x01\x02 set 5\n\x01\x02 set 5\n"
	return r.deviceGot(want)
}

func (r *rig) deviceGot(want string) error {
	err := r.e.Until("bytes at the device", 5*time.Second, func() bool { return string(r.ttys["plc"].Received()) == want })
	if err != nil {
		return fmt.Errorf("%w: it got %q, want %q", err, r.ttys["plc"].Received(), want)
	}
	return nil
}

func (r *rig) duplicate() error {
	before := string(r.ttys["plc"].Received())
	for range 2 {
		if err := r.send("plc", "once", expiry, map[string]any{"text": "once"}); err != nil {
			return err
		}
	}
	second, err := r.answer("plc", "once", 2)
	if err != nil {
		return err
	}
	if !second.OK && second.Error != "duplicate" {
		return fmt.Errorf("second reply %+v", second)
	}
	return r.deviceGot(before + "once\n")
}

func (r *rig) nonsense() error {
	topic := r.agent.Topic("dn/cmd/plc/write")
	for _, junk := range []string{"", "{", "null", "[]", `{"id":5}`, `{"id":"a"}`, "\xff\xfe"} {
		if err := r.sub.Publish(r.e.Ctx, topic, false, junk); err != nil {
			return err
		}
	}
	before := string(r.ttys["plc"].Received())
	if err := r.agent.WaitUp(20 * time.Second); err != nil {
		return err
	}
	if err := r.send("plc", "after", expiry, map[string]any{"text": "after"}); err != nil {
		return err
	}
	if err := r.done("plc", "after"); err != nil {
		return fmt.Errorf("the next good command: %w", err)
	}
	return r.deviceGot(before + "after\n")
}

// Oversized sends a packet that is longer than uplink.max_payload allows. It must not cost the session; and since the
// broker keeps a QoS 1 message for the session until it is acknowledged, a gateway that only hangs up never comes back.
func Oversized(e *kit.Env, t *kit.Table) error {
	r, err := newRig(e, rigOptions{id: "gw-big", scheme: "mqtt", devices: []string{"plc"},
		more: func(d kit.Doc) { d.Set("serial.plc.commands", true) }})
	if err != nil {
		return err
	}
	if err := r.ready(); err != nil {
		return err
	}
	if err := r.sub.Publish(e.Ctx, r.agent.Topic("dn/cmd/plc/write"), false, strings.Repeat("x", 300<<10)); err != nil {
		return err
	}
	t.Check("a packet of 300 KiB: the next command is carried out", func() error {
		if err := r.send("plc", "after", expiry, map[string]any{"text": "after"}); err != nil {
			return err
		}
		return r.done("plc", "after")
	}())
	t.Check("a packet of 300 KiB: frames go on", r.relays("plc", "still here"))
	s, err := r.agent.Status()
	if err != nil {
		return err
	}
	t.AtMost("a packet of 300 KiB: connections lost", float64(s.Uplink.Drops), 1, "")
	return nil
}

// busy stalls the device: the kernel's buffer fills, the queue behind it fills, and then the answer is busy.
func (r *rig) busy() error {
	tty := r.ttys["plc"]
	tty.Pause(true)
	defer tty.Pause(false)
	line := strings.Repeat("b", 4000)
	refused, sent := -1, 0
	for ; sent < 200 && refused < 0; sent++ {
		if err := r.send("plc", fmt.Sprint("busy", sent), expiry, map[string]any{"text": line}); err != nil {
			return err
		}
		r.e.Sleep(10 * time.Millisecond)
		for i := 0; i <= sent; i++ {
			if got := r.replies("plc", fmt.Sprint("busy", i)); len(got) > 0 && got[0].Error == "busy" {
				refused = i
			}
		}
	}
	if refused < 0 {
		return fmt.Errorf("%d commands of 4000 bytes to a stalled device and none was answered busy", sent)
	}
	tty.Pause(false)
	done := 0
	for i := range sent {
		got, err := r.answer("plc", fmt.Sprint("busy", i), 1)
		if err != nil {
			return err
		}
		if got.OK {
			done++
		} else if got.Error != "busy" {
			return fmt.Errorf("command %d: %+v", i, got)
		}
	}
	// Drained means that the kernel has handed it over; the device may read it a moment later.
	got := func() int { return bytes.Count(tty.Received(), []byte(line+"\n")) }
	err := r.e.Until("what was answered ok at the device", 5*time.Second, func() bool { return got() >= done })
	if err != nil || got() > done {
		return fmt.Errorf("%d commands answered ok, the device got %d", done, got())
	}
	return nil
}

// unknownOutcome kills the agent while the device stalls half-way through a write.
func (r *rig) unknownOutcome() error {
	tty := r.ttys["plc"]
	tty.Pause(true)
	defer tty.Pause(false)
	line := strings.Repeat("u", 4000)
	for i := range 30 { // more than the kernel's buffers of a pty hold
		if err := r.send("plc", fmt.Sprint("cut", i), expiry, map[string]any{"text": line}); err != nil {
			return err
		}
		r.e.Sleep(10 * time.Millisecond)
	}
	open := ""
	for i := range 30 {
		if id := fmt.Sprint("cut", i); len(r.replies("plc", id)) == 0 {
			open = id
			break
		}
	}
	if open == "" {
		return fmt.Errorf("30 writes of 4000 bytes to a stalled device and every one was answered")
	}
	r.kill()
	tty.Pause(false)
	if err := r.ready(); err != nil {
		return err
	}
	if err := r.send("plc", open, expiry, map[string]any{"text": line}); err != nil {
		return err
	}
	got, err := r.answer("plc", open, 1)
	if err != nil {
		return err
	}
	if got.Error != "unknown_outcome" {
		return fmt.Errorf("reply to %s after the crash: %+v", open, got)
	}
	return nil
}
