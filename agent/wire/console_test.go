package wire

import (
	"strings"
	"testing"
	"time"
)

func TestConsoleMessages(t *testing.T) {
	for name, c := range map[string]struct {
		in string
		ok bool
		id string
	}{
		"data":       {`{"id":"x","seq":2,"op":"data","base64":"aGk="}`, true, "x"},
		"no number":  {`{"id":"x","op":"data"}`, false, "x"},
		"no session": {`{"seq":1,"op":"data"}`, false, ""},
		"bad base64": {`{"id":"x","seq":1,"base64":"?"}`, false, "x"},
		"too long":   {`{"id":"x","seq":1,"base64":"` + strings.Repeat("AAAA", ConsoleChunk/3+1) + `"}`, false, "x"},
		"no JSON":    {`hello`, false, ""},
		"seq twice":  {`{"id":"x","seq":1,"seq":2,"op":"data"}`, false, "x"},
		"two ops":    {`{"id":"x","seq":1,"op":"keep","OP":"close"}`, false, "x"},
		"lone half":  {`{"id":"x","seq":1,"op":"open","who":"\ud800"}`, false, "x"},
	} {
		m, err := ParseConsoleDown([]byte(c.in))
		if (err == nil) != c.ok || m.ID != c.id {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
	on := true
	want := ConsoleUp{ID: "x", Seq: 3, Op: ConsoleData, TS: 5, Data: []byte("hi"), Lost: 7, Taken: 9,
		ConsoleLine: ConsoleLine{Baud: 300, DTR: &on}}
	text := string(want.Append(nil))
	if text != `{"id":"x","seq":3,"op":"data","ts":5,"base64":"aGk=","lost":7,"taken":9,"baud":300,"dtr":true}` {
		t.Error(text)
	}
	if got, err := ParseConsoleUp([]byte(text)); err != nil || string(got.Data) != "hi" || !*got.DTR {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestSequence(t *testing.T) {
	var s Sequence
	for _, c := range []struct {
		seq     uint64
		fresh   bool
		missing uint64
	}{{1, true, 0}, {2, true, 0}, {1, false, 0}, {2, false, 0}, {5, true, 2}, {3, false, 0}, {6, true, 0}} {
		if fresh, missing := s.See(c.seq); fresh != c.fresh || missing != c.missing {
			t.Errorf("%d: %v, %d missing", c.seq, fresh, missing)
		}
	}
}

func TestDump(t *testing.T) {
	at := time.Date(2026, 11, 21, 9, 5, 7, 89e6, time.UTC)
	got := string(AppendDump(nil, at, true, []byte("0123456789abcdef\x00~\xff")))
	want := "09:05:07.089 > 30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66  0123456789abcdef\n" +
		"             > 00 7e ff                                         .~.\n"
	if got != want {
		t.Errorf("\n%s\nwant\n%s", got, want)
	}
}
