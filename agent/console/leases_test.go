package console

import (
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/agent/wire"
)

func TestLeases(t *testing.T) {
	start := time.Unix(1e9, 0)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	var d leases
	for _, step := range []struct {
		what     string
		id, name string
		tap      bool
		at       int
		want     wire.ErrorCode
	}{
		{"a console", "a", "meter", false, 0, ""},
		{"another of the same device", "b", "meter", false, 1, wire.Busy},
		{"a tap of the same device", "t", "meter", true, 5, ""},
		{"a console of another device", "c", "gps", false, 5, ""},
	} {
		if code, _ := d.open(step.id, step.name, "ada", step.tap, at(step.at)); code != step.want {
			t.Errorf("%s: %q, want %q", step.what, code, step.want)
		}
	}
	for _, step := range []struct {
		what     string
		id, name string
		seq      uint64
		fresh    bool
		missing  uint64
	}{
		{"the first", "a", "meter", 1, true, 0},
		{"a repeat", "a", "meter", 1, false, 0},
		{"a hole", "a", "meter", 4, true, 2},
		{"of another device", "a", "gps", 5, false, 0},
		{"of nobody", "z", "meter", 1, false, 0},
	} {
		if fresh, missing := d.from(step.id, step.name, step.seq, at(20)); fresh != step.fresh || missing != step.missing {
			t.Errorf("%s: %v, %d missing", step.what, fresh, missing)
		}
	}
	if over := d.expired(at(34)); len(over) != 0 {
		t.Errorf("%v over after 34 s", over)
	}
	if over := d.expired(at(35)); len(over) != 2 { // the tap and the other console, opened at 5
		t.Errorf("%v over after 35 s", over)
	}
	if !d.knows("a", at(39)) || d.knows("b", at(39)) {
		t.Error("a session is not known, or one that there is not")
	}
	d.close("a", at(40))
	if code, _ := d.open("b", "meter", "bob", false, at(40)); code != "" {
		t.Errorf("after the end: %q", code)
	}
	if _, why := d.open("e", "meter", "eve", false, at(50)); why != "bob has the console of this device for 10s" {
		t.Errorf("busy: %s", why)
	}
	if !d.knows("a", at(99)) || d.knows("a", at(101)) {
		t.Error("an ended session is forgotten too soon, or never")
	}
}

func TestLeasesHaveAnEnd(t *testing.T) {
	var d leases
	for i := range leasesMost {
		d.open(string(rune('a'+i)), "meter", "", true, time.Now())
	}
	if code, _ := d.open("one more", "gps", "", true, time.Now()); code != wire.Busy {
		t.Errorf("%q", code)
	}
}
