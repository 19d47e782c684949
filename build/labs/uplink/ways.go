package uplink

import (
	"fmt"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
	"github.com/linkbeat/linkbeat/build/internal/netlab"
)

const (
	cableOut     = 5 * time.Second
	cableDetect  = 10 * time.Second // the cable is in again within this
	moved        = 2 * time.Second  // from a route or address that changed to the CONNECT over the new one
	holdDownMost = 3 * time.Minute  // until the better way or server is used again
)

// both interfaces, the first preferred.
func both(d kit.Doc) { d.Set("uplink.interfaces", []any{"wan0", "wan1"}) }

// oneBroker is a site with a mosquitto, up and under load.
func oneBroker(e *kit.Env, id, load string, tweak func(kit.Doc)) (*site, *kit.Broker, error) {
	s, err := newSite(e, id, netlab.WaysOptions{Servers: 1})
	if err != nil {
		return nil, nil, err
	}
	b, err := s.mosquitto(s.ways.ServerIPs[0])
	if err == nil {
		err = s.start(tweak, b.URL())
	}
	if err != nil {
		s.close()
		return nil, nil, err
	}
	s.load(load)
	return s, b, nil
}

// cable pulls wan0's cable out and puts it in again: the connection must not notice.
func cable(load string) cell {
	name := fmt.Sprintf("cable out %v and in, %s", cableOut, load)
	return cell{name, func(e *kit.Env, id string, t *kit.Table) error {
		s, b, err := oneBroker(e, id, load, func(d kit.Doc) {
			d.Set("uplink.detect_within", cableDetect.String())
			if load == bound {
				both(d)
			}
		})
		if err != nil {
			return err
		}
		defer s.close()
		before, err := s.connection(b.Host())
		if err != nil {
			return err
		}
		if err := s.ways.Cable(netlab.Wan0, false); err != nil {
			return err
		}
		e.Sleep(cableOut)
		if err := s.ways.Cable(netlab.Wan0, true); err != nil {
			return err
		}
		in := time.Now()
		if load != idle {
			if err := s.flows(cableDetect); err != nil {
				return err
			}
			t.Info(name+": frames flow again after", time.Since(in).Seconds(), "s")
		}
		e.Sleep(2*beat + cableDetect/6) // so that whoever waits for a beat or a repetition has it
		after, err := s.connection(b.Host())
		if err == nil && (after != before || b.Connects(id) != 1) {
			err = fmt.Errorf("%+v before, %+v after, %d CONNECTs", before, after, b.Connects(id))
		}
		t.Check(name+": the same TCP connection", err)
		s.noneLost(t, name)
		return nil
	}}
}

// routeMoves moves the default route from wan0 to wan1 and back. The old connection is silent from then on.
func routeMoves(load string) cell {
	name := "default route moves, " + load
	return cell{name, func(e *kit.Env, id string, t *kit.Table) error {
		s, b, err := oneBroker(e, id, load, nil)
		if err != nil {
			return err
		}
		defer s.close()
		for i, way := range []int{netlab.Wan1, netlab.Wan0} {
			if err := s.ways.Prefer(way); err != nil {
				return err
			}
			took, err := s.connects(b, i+2)
			if err != nil {
				return err
			}
			t.Within(fmt.Sprintf("%s to wan%d: re-dialled", name, way), took.Seconds(), moved.Seconds(), "s")
			e.Sleep(3 * detectWithin / 2)
		}
		s.noneLost(t, name)
		return nil
	}}
}

// connects waits until the nth CONNECT and says how long that took.
func (s *site) connects(b *kit.Broker, n int) (time.Duration, error) {
	start := time.Now()
	err := b.WaitConnect(s.id, n, 30*time.Second)
	return time.Since(start), err
}

// readdressed takes the address away that the connection stands on.
func readdressed() cell {
	name := "address of wan0 changes"
	return cell{name, func(e *kit.Env, id string, t *kit.Table) error {
		s, b, err := oneBroker(e, id, flowing, nil)
		if err != nil {
			return err
		}
		defer s.close()
		if err := s.ways.Readdress(netlab.Wan0); err != nil {
			return err
		}
		took, err := s.connects(b, 2)
		if err != nil {
			return err
		}
		t.Within(name+": re-dialled", took.Seconds(), moved.Seconds(), "s")
		s.noneLost(t, name)
		return nil
	}}
}

// otherWay leaves the preferred way's cable out for long: the other way is used, and the preferred one again after hold-down.
func otherWay() cell {
	name := "cable of the preferred way out"
	return cell{name, func(e *kit.Env, id string, t *kit.Table) error {
		s, b, err := oneBroker(e, id, flowing, both)
		if err != nil {
			return err
		}
		defer s.close()
		on := func(wan string) func() bool {
			return func() bool {
				st := s.status()
				return st.Uplink.State == "up" && st.Uplink.Interface == wan
			}
		}
		if err := e.Until("up on wan0", time.Second, on("wan0")); err != nil {
			return err
		}
		if err := s.ways.Cable(netlab.Wan0, false); err != nil {
			return err
		}
		out := time.Now()
		if err := e.Until("up on wan1", 2*detectWithin, on("wan1")); err != nil {
			return err
		}
		t.Within(name+": up on the other", time.Since(out).Seconds(), (detectWithin + 2*time.Second).Seconds(), "s")
		if err := s.ways.Cable(netlab.Wan0, true); err != nil {
			return err
		}
		in := time.Now()
		drops := s.status().Uplink.Drops
		if err := e.Until("back on wan0", holdDownMost, on("wan0")); err != nil {
			return err
		}
		t.Info(name+", and in: back after", time.Since(in).Seconds(), "s")
		t.Exactly(name+", and in: drops on the way back", int(s.status().Uplink.Drops-drops), 0, "", "a planned re-dial is none")
		t.Exactly(name+": CONNECTs in all", b.Connects(id), 3, "", "")
		s.noneLost(t, name)
		return nil
	}}
}
