package console

import (
	"bytes"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/linkbeat/linkbeat/agent/flood"
	"github.com/linkbeat/linkbeat/agent/wire"
	"github.com/linkbeat/linkbeat/transport"
)

// What an open session, or none, turns away is booked as refused, and costs a few lines and answers.
func TestWhatASessionTurnsAwayIsRefused(t *testing.T) {
	const n = 2000
	const to = "lb/gw/dn/cmd/"
	type down = wire.ConsoleDown
	data := []byte("typed")
	for name, c := range map[string]struct {
		open    wire.ConsoleOp // "": none is
		topic   string
		message wire.ConsoleDown
		least   int // of n that are booked
	}{
		"renewals of a console":        {wire.ConsoleOpen, to + "plc/console", down{Op: wire.ConsoleKeep}, n * 8 / 10},
		"renewals of a tap":            {wire.ConsoleTap, to + "plc/console", down{Op: wire.ConsoleKeep}, n * 8 / 10},
		"data for a tap":               {wire.ConsoleTap, to + "plc/console", down{Op: wire.ConsoleData, Data: data}, n},
		"changes of the line by a tap": {wire.ConsoleTap, to + "plc/console", down{Op: wire.ConsoleSet}, n},
		"renewals of nothing":          {"", to + "plc/console", down{Op: wire.ConsoleKeep}, n},
		"a topic without a name":       {"", to + "/console", down{Op: wire.ConsoleKeep}, n},
		"data for another's device":    {wire.ConsoleOpen, to + "other/console", down{Op: wire.ConsoleData, Data: data}, n},
	} {
		t.Run(name, func(t *testing.T) {
			withRig(t, 0, plentyOfRoom, func(r *rig) {
				var log bytes.Buffer
				var paid atomic.Int64
				r.server.floods, r.server.log = flood.NewLog(zerolog.New(&log)), zerolog.New(&log)
				r.server.Charge(flood.Toll{Pay: func(n int) { paid.Add(int64(n)) }})
				if c.open != "" {
					r.put("plc", wire.ConsoleDown{ID: "x", Seq: 1, Op: c.open}, false)
					synctest.Wait()
				}
				for i := range n {
					m := c.message
					m.ID, m.Seq = "x", uint64(i+2)
					r.server.Handler(transport.Message{Topic: c.topic, Payload: m.Append(nil), QoS: 1, Size: 100}, false)
					time.Sleep(time.Minute / n)
				}
				synctest.Wait()
				if got := int(paid.Load()); got < 100*c.least || got > 100*n {
					t.Errorf("%d bytes are booked as refused, of %d", got, 100*n)
				}
				if lines := strings.Count(log.String(), "\n"); lines > 6 || lines == 0 {
					t.Errorf("%d lines:\n%.2000s", lines, log.String())
				}
				if up := len(r.broker.Published("lb/gw/up/reply/+/console")); up > 2+32+96+96 {
					t.Errorf("%d answers", up)
				}
			})
		})
	}
}

// An operator who renews as often as one does is answered each time, and refused nothing.
func TestRenewalsOfAllSeatsAreAnswered(t *testing.T) {
	withRig(t, 0, plentyOfRoom, func(r *rig) {
		var paid atomic.Int64
		r.server.Charge(flood.Toll{Pay: func(n int) { paid.Add(int64(n)) }})
		for i := range leasesMost {
			r.put("plc", wire.ConsoleDown{ID: fmt.Sprint("s", i), Seq: 1, Op: wire.ConsoleTap}, false)
		}
		for round := range 12 {
			time.Sleep(wire.ConsoleRenewS * time.Second)
			for i := range leasesMost {
				r.put("plc", wire.ConsoleDown{ID: fmt.Sprint("s", i), Seq: uint64(round + 2), Op: wire.ConsoleKeep}, false)
			}
		}
		synctest.Wait()
		kept := 0
		for _, m := range r.broker.Published("lb/gw/up/reply/plc/console") {
			if u, err := wire.ParseConsoleUp(m.Payload); err == nil && u.Op == wire.ConsoleKept {
				kept++
			}
		}
		if kept != 12*leasesMost || paid.Load() != 0 {
			t.Errorf("%d renewals were answered, %d bytes refused", kept, paid.Load())
		}
	})
}

// A session that renews without end, as whoever may open a tap can, takes no answer from another's: linkbeatctl gives up without
// one for half a minute.
func TestNobodyTakesTheAnswersFromAnother(t *testing.T) {
	for name, every := range map[string]time.Duration{
		"a flood":                               50 * time.Millisecond,
		"a console of an earlier linkbeatctl":   time.Second,
		"seven of them, whose input has ended":  time.Second / 7,
		"a flood, much faster than it answers":  time.Millisecond,
		"one renewal a session, like an honest": wire.ConsoleRenewS * time.Second,
	} {
		t.Run(name, func(t *testing.T) {
			withRig(t, 0, plentyOfRoom, func(r *rig) {
				r.put("plc", wire.ConsoleDown{ID: "honest", Seq: 1, Op: wire.ConsoleOpen}, false)
				r.put("plc", wire.ConsoleDown{ID: "evil", Seq: 1, Op: wire.ConsoleTap}, false)
				seq := uint64(1)
				for round := range 18 {
					for range wire.ConsoleRenewS * time.Second / every {
						seq++
						r.put("plc", wire.ConsoleDown{ID: "evil", Seq: seq, Op: wire.ConsoleKeep}, false)
						time.Sleep(every)
					}
					r.put("plc", wire.ConsoleDown{ID: "honest", Seq: uint64(round + 2), Op: wire.ConsoleKeep}, false)
				}
				synctest.Wait()
				kept := map[string]int{}
				for _, m := range r.broker.Published("lb/gw/up/reply/plc/console") {
					if u, err := wire.ParseConsoleUp(m.Payload); err == nil && u.Op == wire.ConsoleKept {
						kept[u.ID]++
					}
				}
				if kept["honest"] != 18 || kept["evil"] < 18 || kept["evil"] > 4+3*12 {
					t.Errorf("answered: %v", kept)
				}
			})
		})
	}
}

// However long somebody opens and closes as fast as that is allowed, who else comes stands in the log with the session, for
// whoever looks later; and of those who give another name each time a few do.
func TestOthersStandInTheLogBesideAFlood(t *testing.T) {
	for name, who := range map[string]func(i int) string{
		"one name":          func(int) string { return "evil" },
		"no name":           func(int) string { return "" },
		"names without end": func(i int) string { return fmt.Sprint("evil", i) },
	} {
		t.Run(name, func(t *testing.T) {
			withRig(t, 0, plentyOfRoom, func(r *rig) {
				var log bytes.Buffer
				r.server.floods, r.server.log = flood.NewLog(zerolog.New(&log)), zerolog.New(&log)
				r.put("plc", wire.ConsoleDown{ID: "first", Seq: 1, Op: wire.ConsoleTap, Who: "ada@desk"}, false)
				const minutes = 30
				for i := range minutes * 15 {
					id := fmt.Sprint("s", i)
					r.put("plc", wire.ConsoleDown{ID: id, Seq: 1, Op: wire.ConsoleTap, Who: who(i)}, false)
					time.Sleep(time.Second)
					r.put("plc", wire.ConsoleDown{ID: id, Seq: 2, Op: wire.ConsoleClose}, false)
					if i%75 == 70 {
						id := fmt.Sprint("ada", i)
						r.put("plc", wire.ConsoleDown{ID: id, Seq: 1, Op: wire.ConsoleTap, Who: "ada@desk"}, false)
						r.put("plc", wire.ConsoleDown{ID: id, Seq: 2, Op: wire.ConsoleClose}, false)
					}
					time.Sleep(time.Minute/15 - time.Second)
				}
				synctest.Wait()
				if n := strings.Count(log.String(), "ada@desk"); n < 2*6 {
					t.Errorf("%d lines are of the one who came six times", n)
				}
				if lines := strings.Count(log.String(), "\n"); lines > 400 ||
					strings.Count(log.String(), "evil") < 2*minutes && who(0) != "" {
					t.Errorf("%d lines", lines)
				}
			})
		})
	}
}

// Who opens and closes as fast as that is allowed, for hours, writes a few lines a minute.
func TestBeginningsAndEndsAreCounted(t *testing.T) {
	for _, op := range []wire.ConsoleOp{wire.ConsoleOpen, wire.ConsoleTap} {
		t.Run(string(op), func(t *testing.T) {
			withRig(t, 0, plentyOfRoom, func(r *rig) {
				var log bytes.Buffer
				r.server.floods, r.server.log = flood.NewLog(zerolog.New(&log)), zerolog.New(&log)
				const minutes = 30
				for i := range minutes * opensEachMinute {
					id := fmt.Sprint("s", i)
					r.put("plc", wire.ConsoleDown{ID: id, Seq: 1, Op: op, Who: "ada@desk"}, false)
					time.Sleep(time.Second)
					r.put("plc", wire.ConsoleDown{ID: id, Seq: 2, Op: wire.ConsoleClose}, false)
					time.Sleep(time.Minute/opensEachMinute - time.Second)
				}
				synctest.Wait()
				if lines := strings.Count(log.String(), "\n"); lines > 2*eventsFirst+5*minutes || lines < 2*eventsFirst {
					t.Errorf("%d lines", lines)
				}
			})
		})
	}
}
