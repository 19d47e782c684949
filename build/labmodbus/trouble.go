package labmodbus

import (
	"encoding/binary"
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
	again   = 30 * time.Second // a unit that was away so shortly is found again
)

// troubles lets one unit after the other do what units do, and looks at the others.
func (r *rig) troubles(h *hub, o Options, live []int, t *kit.Table) error {
	defer h.disturb(nil)
	for _, x := range []struct {
		name  string
		unit  int
		wrong func(unit byte, pdu []byte) (bool, time.Duration)
		shows func() error
	}{
		{"dies", dying, func(unit byte, _ []byte) (bool, time.Duration) { return unit == dying, 0 },
			func() error { return r.said(dying, fmt.Sprint("r", o.Registers-1), "timeout") }},
		{"leaves one of its reads without an answer", inPart, func(unit byte, pdu []byte) (bool, time.Duration) {
			return unit == inPart && len(pdu) > 2 && binary.BigEndian.Uint16(pdu[1:]) == far, 0
		}, func() error { return r.said(inPart, "far", "timeout") }},
		{"answers after 250 ms", slow, func(unit byte, _ []byte) (bool, time.Duration) {
			if unit == slow {
				return false, slowly
			}
			return false, 0
		}, func() error { return r.never(slow) }},
	} {
		r.sub.Forget()
		began := time.Now()
		h.disturb(x.wrong)
		r.e.Sleep(o.Trouble)
		seen := h.until(began)
		h.disturb(nil)
		others := slices.DeleteFunc(slices.Clone(live), func(id int) bool { return id == x.unit })
		t.AtMost("a unit "+x.name+": worst period of the others", seen.worst(others).Seconds(), (o.Worst + timeout).Seconds(), "s")
		t.AtMost("a unit "+x.name+": late periods of the others", float64(seen.later(others, o.Worst)), float64(len(others)), "")
		if x.unit != dying { // it may miss one poll: after a silence it rests, and then waits for slack
			t.AtMost("a unit "+x.name+": its own worst period", seen.worst([]int{x.unit}).Seconds(), (time.Second + o.Worst).Seconds(), "s")
		}
		t.Check("a unit "+x.name+": that is what is published of it", x.shows())
		r.sub.Forget()
		t.Check("a unit "+x.name+": all is well afterwards", r.well(x.unit, o))
	}
	return nil
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
func (r *rig) well(unit int, o Options) error {
	return r.e.Until(fmt.Sprint("unit ", unit, " to be well"), again, func() bool {
		all, err := r.records(fmt.Sprint("u", unit))
		good := map[string]bool{}
		for _, x := range all {
			for name := range x.Values {
				good[name] = true
			}
		}
		wanted := o.Registers
		if unit == inPart {
			wanted++
		}
		return err == nil && len(good) == wanted
	})
}
