package e2e

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// Reload changes the configuration under a running agent, for better and for worse, and starts it with bad files.
func Reload(e *kit.Env, t *kit.Table) error {
	r, err := newRig(e, rigOptions{id: "gw-conf", scheme: "mqtt", devices: []string{"first"}})
	if err != nil {
		return err
	}
	if err := r.ready(); err != nil {
		return err
	}
	good := kit.NewDoc("gw-conf", r.broker.URL()).Line("first", r.ttys["first"].Port)
	t.Check("relays before", r.relays("first", "before"))
	t.Check("SIGHUP with a bad file: goes on, why says so", r.reloadBad())
	t.Check("SIGHUP with another device: it relays too", r.reloadSecond(good))
	t.Check("started with a bad file: the last good document runs", r.startBad(good))
	t.Check("a bad serial entry disables only that device", r.startBadDevice(good))
	t.Check("no usable uplink anywhere: exit 78", r.exit78())
	return nil
}

func (r *rig) reloadBad() error {
	if err := r.agent.ConfigureRaw([]byte("uplink: {servers: [{url: 5}], colour: red\n")); err != nil {
		return err
	}
	if err := r.agent.Reload(); err != nil {
		return err
	}
	if err := r.whySays("config"); err != nil {
		return err
	}
	return r.relays("first", "after a bad file")
}

func (r *rig) reloadSecond(good kit.Doc) error {
	var err error
	if r.ttys["second"], err = r.e.Pty("gw-conf-second"); err != nil {
		return err
	}
	if err := r.agent.Configure(good.Line("second", r.ttys["second"].Port)); err != nil {
		return err
	}
	if err := r.agent.Reload(); err != nil {
		return err
	}
	if err := r.opened(); err != nil {
		return err
	}
	if err := r.relays("second", "hello"); err != nil {
		return err
	}
	return r.relays("first", "still here")
}

func (r *rig) startBad(good kit.Doc) error {
	if err := r.agent.Term(); err != nil {
		return err
	}
	if err := r.agent.Configure(good.Set("uplink.windwo", 5)); err != nil { // a typo, in a file that says where the state is
		return err
	}
	if err := r.ready(); err != nil {
		return err
	}
	if err := r.whySays("config_error"); err != nil {
		return err
	}
	if err := r.relays("second", "from the last good document"); err != nil {
		return err
	}
	delete(good["uplink"].(map[string]any), "windwo")
	return r.agent.Configure(good)
}

func (r *rig) startBadDevice(good kit.Doc) error {
	if err := r.agent.Term(); err != nil {
		return err
	}
	bad := good.Set("serial.second", map[string]any{"port": r.ttys["second"].Port, "frame": map[string]any{"type": "smoke"}})
	if err := r.agent.Configure(bad); err != nil {
		return err
	}
	if err := r.agent.StartUp(); err != nil {
		return err
	}
	if err := r.whySays("second"); err != nil {
		return err
	}
	return r.relays("first", "while the other is off")
}

func (r *rig) exit78() error {
	doc := kit.NewDoc("gw-none", "gopher://nowhere")
	a, err := r.e.Agent(kit.AgentOptions{Doc: doc})
	if err != nil {
		return err
	}
	if err := a.Start(); err != nil {
		return err
	}
	code, err := a.Proc().Exit(10 * time.Second)
	if err != nil {
		return err
	}
	if code != 78 {
		return fmt.Errorf("exit code %d, want 78\n%s", code, a.Proc().Tail(10))
	}
	return nil
}

// Field plays what the field does to devices and to the agent: unplugged and back, garbage, a frame too long, frames in
// the very moment of the stop, one agent killed and its will.
func Field(e *kit.Env, t *kit.Table) error {
	r, err := newRig(e, rigOptions{id: "gw-field", scheme: "mqtt", devices: []string{"meter"}})
	if err != nil {
		return err
	}
	if err := r.ready(); err != nil {
		return err
	}
	t.Check("a frame beyond the maximum is counted and the next one comes", r.tooLong())
	t.Check("a line that is not UTF-8 comes byte for byte", r.relays("meter", "caf\xe9 \xff\x00"))
	t.Check("unplugged: said, and relays again when it is back", r.unplug())
	t.Check("a killed agent leaves its will", r.will())
	t.Check("frames of the last moment before SIGTERM arrive", r.lastMoment())
	t.Check("none of them is missing after the next start", r.nextStart())
	return nil
}

func (r *rig) tooLong() error {
	if _, err := r.ttys["meter"].Write([]byte(strings.Repeat("x", 6000) + "\n")); err != nil {
		return err
	}
	if err := r.relays("meter", "whole"); err != nil {
		return err
	}
	s, err := r.agent.Status()
	if err != nil {
		return err
	}
	if d := s.Serial["meter"]; d.Bad == 0 {
		return fmt.Errorf("no bad bytes counted: %+v", d)
	}
	return balance(s)
}

func (r *rig) unplug() error {
	tty := r.ttys["meter"]
	tty.Unplug()
	err := r.e.Until("the device to be gone", 10*time.Second, func() bool {
		s, err := r.agent.Status()
		return err == nil && s.Serial["meter"].State != "open"
	})
	if err == nil {
		err = tty.Plug()
	}
	if err == nil {
		err = r.opened()
	}
	if err != nil {
		return err
	}
	return r.relays("meter", "back")
}

func (r *rig) will() error {
	r.kill()
	if err := r.e.Until("the will", 5*time.Second,
		func() bool { return strings.Contains(r.lastState(), `"online":false`) }); err != nil {
		return err
	}
	if err := r.ready(); err != nil {
		return err
	}
	return r.e.Until("the birth", 5*time.Second, func() bool { return strings.Contains(r.lastState(), `"online":true`) })
}

// burst is how many frames come in the last moment: more than the window.
const burst = 200

// lastMoment asks for the end while more waits than the window holds: the broker is frozen meanwhile, and thaws within the
// time that a stop may take to drain.
func (r *rig) lastMoment() error {
	before, err := r.agent.Status()
	if err != nil {
		return err
	}
	if err := r.broker.Freeze(); err != nil {
		return err
	}
	for i := range burst {
		if _, err := fmt.Fprintf(r.ttys["meter"], "last %d\n", i); err != nil {
			return err
		}
	}
	err = r.e.Until("the burst to be read", 5*time.Second, func() bool {
		s, err := r.agent.Status()
		return err == nil && s.Serial["meter"].Framed >= before.Serial["meter"].Framed+burst
	})
	if err != nil {
		return err
	}
	thawed := make(chan error, 1)
	go func() {
		r.e.Sleep(time.Second)
		thawed <- r.broker.Thaw()
	}()
	if err := errors.Join(r.agent.Term(), <-thawed); err != nil {
		return err
	}
	return r.wholeBurst()
}

// nextStart runs the agent again: what a stop could not send waits in the spool.
func (r *rig) nextStart() error {
	if err := r.ready(); err != nil {
		return err
	}
	if err := r.wholeBurst(); err != nil {
		return err
	}
	t, err := r.data("meter")
	if err == nil && len(t.Holes)+len(t.Conflicts) > 0 {
		err = fmt.Errorf("holes %v, conflicts %v", t.Holes, t.Conflicts)
	}
	return errors.Join(err, r.agent.Term())
}

// wholeBurst waits until every frame of the burst came.
func (r *rig) wholeBurst() error {
	n := 0
	err := r.e.Until("all of the burst", 5*time.Second, func() bool {
		t, err := r.data("meter")
		if err != nil {
			return false
		}
		n = 0
		for _, f := range t.Data() {
			if b, err := f.Bytes(); err == nil && strings.HasPrefix(string(b), "last ") {
				n++
			}
		}
		return n == burst
	})
	if err != nil {
		return fmt.Errorf("%w: %d of %d came", err, n, burst)
	}
	return nil
}
