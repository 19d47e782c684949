package modbus

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

const (
	warmUp  = 8 * time.Second       // who is there, and the first tries of the dead
	unusual = 25 * time.Millisecond // between two requests to live units
	marker  = 500                   // an address that only requests read
	far     = 400                   // of a register that is read apart from the others, by the unit
	inPart  = 4                     // that has it
	alike   = 15                    // the unit that has as many registers again from there on: two reads whose answers look alike
)

// crowd is many units on one line, some dead, and requests between the polls.
func crowd(e *kit.Env, o options, slave string, t *kit.Table) error {
	var live []int
	units := map[string]any{}
	for id := 1; id <= o.Units; id++ {
		if !isDead(o, id) {
			live = append(live, id)
		}
		registers := map[string]any{}
		for name, address := range registersOf(o, id) {
			kind := "input"
			if name == "far" {
				kind = "holding"
			}
			registers[name] = map[string]any{"kind": kind, "address": address}
		}
		units[fmt.Sprint("u", id)] = map[string]any{"address": id, "every": "1s", "registers": registers}
	}
	h, args, err := newHub(e, "crowd", live)
	if err != nil {
		return err
	}
	if err := slaves(e, "slave-crowd", slave, append([]string{"rtu"}, args...)...); err != nil {
		return err
	}
	r, err := newRig(e, "gw-crowd", map[string]any{"port": h.Port, "baud": 115200, "commands": true, "units": units})
	if err != nil {
		return err
	}
	e.Sleep(warmUp)
	began := time.Now()
	e.Sleep(o.Watch)
	// On a busy machine a slave may be too late with its answer, and its unit counts as dead for a while.
	_ = e.Until("a poll of each live unit", o.Patience, func() bool { return h.until(began).forgotten(live) == 0 })
	watched := h.until(began)
	judgePeriods(o, watched, live, t)
	tellWorst(e, watched, live)
	_ = e.Until("what the slaves hold", o.Patience, func() bool { return r.holds(o, live) == nil })
	t.Check("what is published is what the slaves hold", r.holds(o, live))
	began = time.Now()
	if err := r.requests(h, o, live, t); err != nil {
		return err
	}
	t.Within("worst period of a live unit while requests come", h.until(began).worst(live).Seconds(), o.Worst.Seconds(), "s")
	if err := r.troubles(h, o, live, t); err != nil {
		return err
	}
	s, err := r.Agent.Status()
	if err != nil {
		return err
	}
	t.Within("longest that a queued request waited on an idle bus, to its first byte", 1000*s.Serial["bus"].IdleWaitS,
		float64(o.Idle.Milliseconds()), "ms")
	dead := 0
	for _, u := range s.Serial["bus"].Units {
		if u.State == "dead" {
			dead++
		}
	}
	t.Exactly("units shown as dead", dead, o.Dead, "", s.Why)
	var unbalanced error
	if text := s.Imbalance(); text != "" {
		unbalanced = errors.New(text)
	}
	t.Check("every counter balances", unbalanced)
	return r.Agent.Term()
}

// registersOf a unit are at these addresses.
func registersOf(o options, id int) map[string]int {
	all := map[string]int{}
	for i := range o.Registers {
		all[fmt.Sprint("r", i)] = i
		if id == alike {
			all[fmt.Sprint("f", i)] = far + i
		}
	}
	if id == inPart {
		all["far"] = far
	}
	return all
}

func isDead(o options, id int) bool { return id%10 == 7 && id/10 < o.Dead }

func judgePeriods(o options, watched stretch, live []int, t *kit.Table) {
	polls, tried := 0, 0
	for _, q := range watched.seen {
		if isDead(o, int(q.unit)) {
			tried++
		} else if q.poll() {
			polls++
		}
	}
	t.Exactly("live units that were forgotten", watched.forgotten(live), 0, "", "")
	t.Within("worst period of a live unit", watched.worst(live).Seconds(), o.Worst.Seconds(), "s")
	t.NoSlower("live units polled in every second", float64(polls)/o.Watch.Seconds()/float64(o.Units-o.Dead), o.Share, "of 1")
	t.Info("tries of dead units meanwhile", float64(tried), "")
}

// tellWorst says what the line saw before the latest of the polls.
func tellWorst(e *kit.Env, watched stretch, live []int) {
	last, worst, at := map[byte]time.Time{}, time.Duration(0), 0
	for i, q := range watched.seen {
		if before, ok := last[q.unit]; ok && slices.Contains(live, int(q.unit)) && q.at.Sub(before) > worst {
			worst, at = q.at.Sub(before), i
		}
		last[q.unit] = q.at
	}
	for i := max(at-len(live), 1); i <= at && at > 0; i++ {
		if gap := watched.seen[i].at.Sub(watched.seen[i-1].at); gap > unusual {
			e.Logf("before the worst period: unit %d was asked %v after unit %d", watched.seen[i].unit, gap,
				watched.seen[i-1].unit)
		}
	}
}

// holds compares the last record of each unit with what its slave was filled with.
func (r *rig) holds(o options, live []int) error {
	for _, id := range live {
		all, err := r.records(fmt.Sprint("u", id))
		if err != nil {
			return err
		}
		if len(all) == 0 {
			return fmt.Errorf("unit %d was never published", id)
		}
		last, wanted := all[len(all)-1], registersOf(o, id)
		if len(last.Values) != len(wanted) || len(last.Bad) > 0 {
			return fmt.Errorf("unit %d: %d values, bad %v", id, len(last.Values), last.Bad)
		}
		if n := last.wrong(o, id); n > 0 {
			return fmt.Errorf("unit %d: %d values are not what the slave holds: %s", id, n, last.Values)
		}
	}
	for id := 1; id <= o.Units; id++ {
		if all, err := r.records(fmt.Sprint("u", id)); isDead(o, id) && (err != nil || len(all) > 0) {
			return fmt.Errorf("dead unit %d was published: %v, %v", id, all, err)
		}
	}
	return nil
}

// wrong counts the values that are not those of their registers.
func (x record) wrong(o options, id int) (n int) {
	at := registersOf(o, id)
	for name, v := range x.Values {
		if string(v) != fmt.Sprint(id*1000+at[name]) {
			n++
		}
	}
	return n
}

// requests asks one unit after the other for a register that no poll reads, at any moment of the cycle.
func (r *rig) requests(h *hub, o options, live []int, t *kit.Table) error {
	began := time.Now()
	var took []time.Duration
	for i := range o.Requests {
		id := live[i%len(live)]
		got, d, err := r.Command(fmt.Sprint("u", id), "request", map[string]any{"hex": fmt.Sprintf("03%04x0001", marker)})
		if err != nil {
			return err
		}
		if want := fmt.Sprintf("0302%04x", id*1000+marker); !got.OK || got.Hex != want {
			return fmt.Errorf("request to unit %d: %+v, want %s", id, got, want)
		}
		took = append(took, d)
		r.Env.Sleep(time.Duration(37+(i*53)%211) * time.Millisecond)
	}
	slices.Sort(took)
	t.Info("request and answer through the broker, median", ms(took[len(took)/2]), "ms")
	t.Info("request and answer through the broker, worst", ms(took[len(took)-1]), "ms")
	seen := 0
	for _, q := range h.since(began) {
		if bytes.HasPrefix(q.pdu, []byte{3, marker >> 8, marker & 0xff}) {
			seen++
		}
	}
	t.Exactly("requests that the line saw", seen, o.Requests, "", "each once")
	return nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
