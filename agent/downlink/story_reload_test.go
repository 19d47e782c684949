package downlink

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/agent/wire"
)

// A command is checked by the configuration under which it is carried out, not by that under which it came.
func TestAReloadBeforeACommandIsCarriedOut(t *testing.T) {
	before := Limits{Max: 4, Timeout: time.Second, Allow: [][]byte{{7, 3}}, PerMinute: 5}
	spent := NewRate(Limits{PerMinute: 1})
	spent.take(time.Now())
	for name, c := range map[string]struct {
		reload func(r *downlinkRig, device Target)
		wrote  string // empty: nothing
		want   string // in the reply
	}{
		"that changes nothing": {func(*downlinkRig, Target) {}, " 0703 1s 0s", `"ok":true,"hex":"aa01"`},
		"that ends commands": {func(r *downlinkRig, device Target) {
			device.Commands = false
			r.targets["bus"] = device
		}, "", `"ok":false,"error":"denied"`},
		"that allows other bytes": {func(r *downlinkRig, device Target) {
			device.Limits.Allow = [][]byte{{7, 4}}
			r.targets["bus"] = device
		}, "", `"ok":false,"error":"denied"`},
		"that allows fewer bytes": {func(r *downlinkRig, device Target) {
			device.Limits.Max = 1
			r.targets["bus"] = device
		}, "", `"ok":false,"error":"too_large"`},
		"to a rate that is used up": {func(r *downlinkRig, device Target) {
			device.Limits.PerMinute, device.Rate = 1, spent
			r.targets["bus"] = device
		}, "", `"ok":false,"error":"busy","detail":"more than 1 commands in a minute`},
		"that takes the device away": {func(r *downlinkRig, _ Target) {
			delete(r.targets, "bus")
		}, "", `"ok":false,"error":"unknown_device"`},
		"that makes it a unit": {func(r *downlinkRig, _ Target) {
			r.targets["bus"] = r.targets["pump"]
		}, "", `"ok":false,"error":"denied"`},
		"beside a clock that goes on": {func(r *downlinkRig, _ Target) {
			r.clock.Now = func() time.Time { return time.Now().Add(time.Hour) }
		}, "", `"ok":false,"error":"expired"`},
		"of the timeout": {func(r *downlinkRig, device Target) {
			device.Limits.Timeout = 3 * time.Second
			r.targets["bus"] = device
		}, " 0703 3s 0s", `"ok":true,"hex":"aa01"`},
		"of the encoding": {func(r *downlinkRig, device Target) {
			device.Encoding = wire.Base64
			r.targets["bus"] = device
		}, " 0703 1s 0s", `"ok":true,"base64":"qgE="`},
	} {
		for look, when := range []string{"while it waits", "while its id goes on disk"} {
			t.Run(name+" "+when, func(t *testing.T) {
				r := newDownlinkRig(t, t.TempDir())
				defer r.stop()
				r.targets = bus(r, before)
				looks := 0
				r.lookup = func() {
					if looks == look {
						c.reload(r, r.targets["bus"])
					}
					looks++
				}
				r.deliver("bus/request", fmt.Sprintf(`{"id":"a","expires":%d,"hex":"0703"}`, soon()), false)
				_, reply := r.reply(t)
				if got := string(reply.Append(nil)); !strings.Contains(got, c.want) {
					t.Errorf("%s\nwant %s", got, c.want)
				}
				wrote := ""
				if len(r.written) > 0 {
					wrote = <-r.written
				}
				if wrote != c.wrote {
					t.Errorf("wrote %q, want %q", wrote, c.wrote)
				}
				if n := r.Status(); n.Received != 1 || n.Received != n.Done+n.Failed+n.Refused+n.Running+n.Overflowed ||
					n.Running != 0 {
					t.Errorf("counters do not balance: %+v", n)
				}
			})
		}
	}
}

// What was refused after its id was on disk is known, and refused again.
func TestARefusalAfterTheIdIsOnDiskIsRemembered(t *testing.T) {
	dir := t.TempDir()
	r := newDownlinkRig(t, dir)
	r.targets = bus(r, Limits{})
	looks := 0
	r.lookup = func() {
		if looks++; looks == 2 {
			delete(r.targets, "bus")
		}
	}
	payload := fmt.Sprintf(`{"id":"a","expires":%d,"hex":"07"}`, soon())
	r.deliver("bus/request", payload, false)
	if _, reply := r.reply(t); reply.Error != wire.UnknownDevice {
		t.Errorf("%+v", reply)
	}
	r.stop()
	again := newDownlinkRig(t, dir)
	defer again.stop()
	again.targets = bus(again, Limits{})
	again.deliver("bus/request", payload, false)
	if _, reply := again.reply(t); reply.Error != wire.UnknownDevice || len(again.written) != 0 {
		t.Errorf("%+v, %d written", reply, len(again.written))
	}
}
