package modbus

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// What goes wrong, and with whom.
const (
	dying   = 9
	slow    = 12
	timeout = 300 * time.Millisecond // the default: what a unit may cost the others, once
	slowly  = 250 * time.Millisecond
	tooSlow = timeout * 5 / 2  // its answers come when another question is asked
	again   = 30 * time.Second // a unit that was away so shortly is found again
)

// trouble is what goes wrong with a unit.
type trouble struct {
	name  string
	unit  int
	wrong func(unit byte, pdu []byte) (lost bool, late time.Duration)
	shows func() error // what is published of it meanwhile
	reads bool         // it answers what is judged: this is read in its rhythm
	late  int          // but for so many polls: one that is missed at first, and some that a try of what it ignores makes late
}

// all are the troubles, one after the other.
func (r *rig) all(o options) []trouble {
	late := func(id int, by time.Duration) func(byte, []byte) (bool, time.Duration) {
		return func(unit byte, _ []byte) (bool, time.Duration) {
			if unit == byte(id) {
				return false, by
			}
			return false, 0
		}
	}
	return []trouble{
		{"dies", dying, func(unit byte, _ []byte) (bool, time.Duration) { return unit == dying, 0 },
			func() error { return r.said(dying, fmt.Sprint("r", o.Registers-1), "timeout") }, false, 0},
		{"leaves one of its reads without an answer", inPart, func(unit byte, pdu []byte) (bool, time.Duration) {
			return unit == inPart && len(pdu) > 2 && binary.BigEndian.Uint16(pdu[1:]) == far, 0
		}, func() error { return r.said(inPart, "far", "timeout") }, true, 3},
		{"answers after 250 ms", slow, late(slow, slowly), func() error { return r.never(slow) }, true, 0},
		{"answers after 750 ms", alike, late(alike, tooSlow), func() error { return r.said(alike, "f0", "timeout") }, false, 0},
	}
}

// troubles lets one unit after the other do what units do, and looks at the others.
func (r *rig) troubles(h *hub, o options, live []int, t *kit.Table) error {
	defer h.disturb(nil)
	for _, x := range r.all(o) {
		r.Books.Forget()
		began := time.Now()
		h.disturb(x.wrong)
		r.Env.Sleep(o.Trouble)
		seen := h.until(began)
		h.disturb(nil)
		others := slices.DeleteFunc(slices.Clone(live), func(id int) bool { return id == x.unit })
		t.Within("a unit "+x.name+": worst period of the others", seen.worst(others).Seconds(),
			(o.Worst + timeout).Seconds(), "s")
		t.Within("a unit "+x.name+": late periods of the others", float64(seen.later(others, o.Worst)), float64(len(others)), "")
		if x.reads {
			own, worst := []int{x.unit}, o.Worst
			if x.late > 0 {
				worst += 3 * timeout
			}
			t.Within("a unit "+x.name+": its own worst period", seen.worst(own).Seconds(), worst.Seconds(), "s")
			t.Within("a unit "+x.name+": its own late periods", float64(seen.later(own, o.Worst)), float64(x.late), "")
		}
		t.Check("a unit "+x.name+": that is what is published of it", x.shows())
		well := r.well(x.unit, o)
		wrong, err := r.wrong(o, x.unit)
		t.Exactly("a unit "+x.name+": values that are another register's", wrong, 0, "", "also afterwards")
		t.Check("a unit "+x.name+": all is well afterwards", errors.Join(well, err))
	}
	return nil
}

// wrong counts the values of a unit that are not those of their registers.
func (r *rig) wrong(o options, unit int) (n int, err error) {
	all, err := r.records(fmt.Sprint("u", unit))
	for _, x := range all {
		n += x.wrong(o, unit)
	}
	return n, err
}

// said is nil when a value was published as bad for a reason.
func (r *rig) said(unit int, name, why string) error {
	all, err := r.records(fmt.Sprint("u", unit))
	for _, x := range all {
		if x.Bad[name] == why {
			return nil
		}
	}
	return fmt.Errorf("%d records, and %s of unit %d was never bad: %v", len(all), name, unit, err)
}

// never is nil when nothing of a unit was bad.
func (r *rig) never(unit int) error {
	all, err := r.records(fmt.Sprint("u", unit))
	for _, x := range all {
		if len(x.Bad) > 0 {
			return fmt.Errorf("unit %d: %v", unit, x.Bad)
		}
	}
	if len(all) == 0 {
		return fmt.Errorf("unit %d was not published: %v", unit, err)
	}
	return err
}

// well waits until all values of a unit are published once more.
func (r *rig) well(unit int, o options) error {
	before, err := r.records(fmt.Sprint("u", unit))
	if err != nil {
		return err
	}
	return r.Env.Until(fmt.Sprint("unit ", unit, " to be well"), again, func() bool {
		all, err := r.records(fmt.Sprint("u", unit))
		good := map[string]bool{}
		for _, x := range all[min(len(before), len(all)):] {
			for name := range x.Values {
				good[name] = true
			}
		}
		return err == nil && len(good) == len(registersOf(o, unit))
	})
}
