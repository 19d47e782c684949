package pump

import (
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/agent/spool"
)

// How sessions ended, with record 1 the oldest in flight unless it says else, and whether that gives it up. "quiet" stands for
// a session that lived long enough before anything was sent.
func TestWhichRecordIsPoison(t *testing.T) {
	const closed, silent = true, false
	type end struct {
		closed   bool
		inFlight int
		oldest   spool.Pos
	}
	many, alone := end{closed, 8, 1}, end{closed, 1, 1}
	for name, c := range map[string]struct {
		ends []end
		want bool
	}{
		"closed once":   {[]end{alone}, false},
		"closed thrice": {[]end{many, many, many}, false},
		"and alone":     {[]end{many, many, many, alone}, true},
		"never alone":   {[]end{many, many, many, many, many, many}, false},
		"silence": {[]end{{silent, 1, 1}, {silent, 1, 1}, {silent, 1, 1}, {silent, 1, 1},
			{silent, 1, 1}}, false},
		"silence breaks the row":     {[]end{many, many, {silent, 1, 1}, many, alone}, false},
		"silence when alone":         {[]end{many, many, many, {silent, 1, 1}}, false},
		"closed alone after silence": {[]end{many, many, many, {silent, 1, 1}, alone}, true},
		"another one each time": {[]end{{closed, 8, 1}, {closed, 8, 2}, {closed, 8, 3}, {closed, 8, 4},
			{closed, 8, 5}}, false},
		"the next one, while isolated":        {[]end{many, many, many, {closed, 1, 2}}, false},
		"the next one, while isolated, twice": {[]end{many, many, many, {closed, 1, 2}, {closed, 1, 2}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			d, l, now := suspects{}, &lane{}, time.Unix(0, 0)
			got := false
			for _, e := range c.ends {
				d.connected(now)
				now = now.Add(time.Minute)
				got = d.lost(&publish{lane: l, positions: []spool.Pos{e.oldest}}, e.inFlight, e.closed, now)
			}
			if got != c.want {
				t.Fatalf("poison: %v", got)
			}
		})
	}
}

func TestASuspectIsSentAloneAndNotAtOnce(t *testing.T) {
	d, p, now := suspects{}, &publish{lane: &lane{}, positions: []spool.Pos{1}}, time.Unix(0, 0)
	for range closesToSuspect {
		d.connected(now)
		if hold, _ := d.hold(now, 5); hold {
			t.Fatal("held without a suspicion")
		}
		d.lost(p, 5, true, now)
	}
	d.connected(now)
	if hold, until := d.hold(now, 0); !hold || !until.Equal(now.Add(quietFor)) {
		t.Fatal("sent at once", hold, until)
	}
	now = now.Add(quietFor)
	if hold, _ := d.hold(now, 0); hold {
		t.Fatal("never sent")
	}
	if hold, _ := d.hold(now, 1); !hold {
		t.Fatal("not alone")
	}
	for range isolatedFor {
		d.acked(p)
	}
	if hold, _ := d.hold(now, 1); hold {
		t.Fatal("isolated for ever")
	}
}
