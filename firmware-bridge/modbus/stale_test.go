package modbus

import (
	"testing"
	"time"
)

func TestWhoseAnAnswerIs(t *testing.T) {
	const timeout = 300 * time.Millisecond
	read := func(at uint16, n int) Query { return Query{Unit: 7, PDU: ReadPDU(Holding, at, n)} }
	word, words, refused := []byte{3, 2, 0, 9}, []byte{3, 4, 0, 9, 0, 9}, []byte{0x83, 2}
	set := Query{Unit: 7, PDU: []byte{6, 0, 1, 0, 9}}
	for name, x := range map[string]struct {
		open   []Query // asked one second apart, the first at 0 s; the question a second after the last
		q      Query
		answer []byte
		sure   bool
		rest   time.Duration // from the answer on
	}{
		"nothing is open":         {nil, read(0, 1), word, true, 0},
		"another read of as many": {[]Query{read(5, 1)}, read(0, 1), word, false, time.Second + timeout},
		"the same read":           {[]Query{read(0, 1)}, read(0, 1), word, true, 0},
		"a read of more":          {[]Query{read(0, 2)}, read(0, 1), word, true, 0},
		"a read of more, refused": {[]Query{read(5, 2)}, read(0, 1), refused, false, time.Second + timeout},
		"other inputs":            {[]Query{{Unit: 7, PDU: ReadPDU(Input, 0, 1)}}, read(0, 1), word, true, 0},
		"of another unit":         {[]Query{{Unit: 8, PDU: ReadPDU(Holding, 5, 1)}}, read(0, 1), word, true, 0},
		"from the first that it may be": {[]Query{read(0, 2), read(5, 1), read(0, 1)}, read(0, 1), word, false,
			2*time.Second + timeout},
		"a write, whose echo tells": {[]Query{{Unit: 7, PDU: []byte{6, 0, 1, 0, 8}}, read(0, 1)}, set,
			set.PDU, true, 0},
		"a write, refused as another one may": {[]Query{{Unit: 7, PDU: []byte{6, 0, 1, 0, 8}}}, set, []byte{0x86, 2}, false,
			time.Second + timeout},
		"so long ago that it does not come":      {append([]Query{read(5, 1)}, make([]Query, 10)...), read(0, 1), word, true, 0},
		"the answer to two, of which one fits":   {[]Query{read(5, 1), read(0, 2)}, read(0, 2), words, true, 0},
		"a read that was open before a sure one": {[]Query{read(5, 1)}, set, set.PDU, true, 0},
	} {
		var d Stale
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		for _, q := range x.open {
			d.Unanswered(q, at, timeout)
			at = at.Add(time.Second)
		}
		now := at.Add(5 * time.Millisecond)
		sure, rest := d.Answered(x.q, x.answer, at, now, timeout)
		if sure != x.sure || rest.Sub(now) != x.rest {
			t.Errorf("%s: %v, rest %v", name, sure, rest.Sub(now))
		}
		if x.open != nil && !x.sure {
			continue
		}
		if sure, again := d.Answered(read(0, 1), word, rest, rest, timeout); !sure || again.After(rest) {
			t.Errorf("%s: the doubt stays", name)
		}
	}
}

// An answer to the same read as before may be that to the one before, and then so may all that follow.
func TestADoubtStaysWhileNothingElseIsAsked(t *testing.T) {
	const timeout = 300 * time.Millisecond
	a, b := Query{Unit: 7, PDU: ReadPDU(Holding, 0, 1)}, Query{Unit: 7, PDU: ReadPDU(Holding, 5, 1)}
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var d Stale
	d.Unanswered(a, at, timeout)
	for range 1000 {
		at = at.Add(time.Second)
		if sure, rest := d.Answered(a, []byte{3, 2, 0, 9}, at, at, timeout); !sure || rest.After(at) || len(d.open) != 1 {
			t.Fatalf("%v, %v, %d open", sure, rest, len(d.open))
		}
	}
	if sure, rest := d.Answered(b, []byte{3, 2, 0, 9}, at, at, timeout); sure || rest.Sub(at) != timeout {
		t.Errorf("%v, %v", sure, rest)
	}
	for range 1000 {
		at = at.Add(time.Second)
		d.Unanswered(a, at, timeout)
	}
	if n := len(d.open); n > 11 {
		t.Errorf("%d open", n)
	}
}
