package e2e

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// baud of the players: the pace of "It must show" 1.
const baud = 115200

// RelayOptions choose the road: the scheme of the uplink, and the machine the agent is built for.
type RelayOptions struct {
	Scheme string // mqtt, mqtts, ws
	Target string // "" or linux-armv7 (under qemu)
	Baud   int    // if 0, 115200
}

// Relay plays every text recording at once, each on a device of its own, and compares what came out of mosquitto.
func Relay(e *kit.Env, o RelayOptions, t *kit.Table) error {
	if o.Baud == 0 {
		o.Baud = baud
	}
	id := strings.TrimSuffix("gw-"+o.Scheme+"-"+o.Target, "-")
	r, err := newRig(e, rigOptions{id: id, scheme: o.Scheme, target: o.Target, devices: Recordings()})
	if err != nil {
		return err
	}
	if err := r.ready(); err != nil {
		return err
	}
	if err := r.playAll(o.Baud); err != nil {
		return err
	}
	for _, name := range Recordings() {
		if err := r.compare(name, id, t); err != nil {
			return err
		}
	}
	s, err := r.agent.Status()
	if err != nil {
		return err
	}
	t.Exactly(id+": connections lost", int(s.Uplink.Drops), 0, "", "")
	t.Check(id+": every counter balances", balance(s))
	t.Check(id+": SIGTERM leaves online:false and exit 0", r.stopsOffline())
	return nil
}

func (r *rig) playAll(rate int) error {
	var wg sync.WaitGroup
	errs := make(chan error, len(r.ttys))
	for name, tty := range r.ttys {
		b, err := recording(name)
		if err != nil {
			return err
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := kit.PlayRecording(r.e.Ctx, tty, b, rate); err != nil {
				errs <- fmt.Errorf("%s: %w", name, err)
			}
		}()
	}
	wg.Wait()
	close(errs)
	return <-errs
}

// compare wants every line, byte for byte, in order, once.
func (r *rig) compare(name, id string, t *kit.Table) error {
	b, err := recording(name)
	if err != nil {
		return err
	}
	want := kit.Lines(b)
	var got *kit.Tally
	_ = r.e.Until("all lines of "+name, 10*time.Second, func() bool { // what is missing is a row of the table
		got, err = r.data(name)
		return err != nil || len(got.Records) >= len(want)
	})
	if err != nil {
		return err
	}
	label := id + " " + name
	wrong, note := 0, ""
	data := got.Data()
	for i := 0; i < min(len(data), len(want)); i++ {
		b, err := data[i].Bytes()
		if err != nil || !bytes.Equal(b, want[i]) {
			wrong++
			if note == "" {
				note = fmt.Sprintf("line %d: got %q, want %q (%v)", i+1, b, want[i], err)
			}
		}
	}
	t.Exactly(label+": lines", len(data), len(want), "lines", "")
	t.Exactly(label+": lines that differ or are out of place", wrong, 0, "lines", note)
	t.Exactly(label+": twice by (epoch, seq)", len(got.Repeats), 0, "lines", "")
	t.Exactly(label+": two contents, holes, gaps", len(got.Conflicts)+len(got.Holes)+len(got.Gaps), 0, "",
		strings.Join(append(got.Conflicts, got.Holes...), "; "))
	t.Check(label+": bytes read = bytes played", r.readAll(name, int64(len(b))))
	return nil
}

func (r *rig) readAll(name string, played int64) error {
	s, err := r.agent.Status()
	if err != nil {
		return err
	}
	if got := s.Serial[name].Read; got != played {
		return fmt.Errorf("status says %d bytes read, the player wrote %d", got, played)
	}
	return nil
}

func (r *rig) stopsOffline() error {
	if !strings.Contains(r.lastState(), `"online":true`) {
		return fmt.Errorf("state while up: %q", r.lastState())
	}
	if err := r.agent.Term(); err != nil {
		return err
	}
	return r.e.Until("online:false", 5*time.Second, func() bool { return strings.Contains(r.lastState(), `"online":false`) })
}

func balance(s *kit.Status) error {
	if msg := s.Imbalance(); msg != "" {
		return fmt.Errorf("%s", msg)
	}
	return nil
}
