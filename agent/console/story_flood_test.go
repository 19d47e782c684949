package console

import (
	"bytes"
	"fmt"
	"runtime"
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

// put hands a message over as the link would.
func (r *rig) put(device string, m wire.ConsoleDown, retained bool) {
	if m.Op == wire.ConsoleOpen || m.Op == wire.ConsoleTap {
		m.Expires = time.Now().Add(15 * time.Second).UnixMilli()
	}
	p := m.Append(nil)
	r.server.Handler(transport.Message{Topic: "lb/gw/dn/cmd/" + device + "/console", Payload: p, QoS: 1, Size: len(p)}, retained)
}

// A seat is free when its session has ended, and not when that was asked for: however fast sessions are opened and closed, and
// however slowly their last words go out, there are no more of them than seats.
func TestSessionsThatEndKeepTheirSeats(t *testing.T) {
	for name, c := range map[string]struct {
		frozen bool // the server takes nothing any more
		op     wire.ConsoleOp
		every  time.Duration
	}{
		"consoles, 1,400 a second":             {false, wire.ConsoleOpen, time.Second / 1400},
		"taps, 1,400 a second":                 {false, wire.ConsoleTap, time.Second / 1400},
		"consoles, over a link that is stuck":  {true, wire.ConsoleOpen, time.Second / 1400},
		"taps, a few a second, the link stuck": {true, wire.ConsoleTap, 200 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			withRig(t, 0, plentyOfRoom, func(r *rig) {
				l := &r.server.leases // as if opens were not bounded: seats alone must do
				l.held, l.gone, l.opens = map[string]*lease{}, map[string]time.Time{}, flood.Bucket{Burst: 1e9}
				if c.frozen {
					r.broker.Freeze()
				}
				synctest.Wait()
				before, most := runtime.NumGoroutine(), 0
				for i := range 2000 {
					id := fmt.Sprint("s", i)
					r.put("plc", wire.ConsoleDown{ID: id, Seq: 1, Op: c.op}, false)
					r.put("plc", wire.ConsoleDown{ID: id, Seq: 2, Op: wire.ConsoleClose}, false)
					time.Sleep(c.every)
					if i%100 == 99 {
						synctest.Wait()
						most = max(most, runtime.NumGoroutine()-before)
						if n := len(r.server.leases.held); n > leasesMost || len(r.server.live) > leasesMost {
							t.Fatalf("%d sessions are there", n)
						}
					}
				}
				if most > 4*leasesMost+8 { // two of each session, one of each refusal, and what the link has
					t.Errorf("%d goroutines more", most)
				}
				r.broker.Thaw()
				time.Sleep(15 * time.Minute) // the link may have been given up meanwhile, and waits before it dials
				synctest.Wait()
				// What the link has may differ by a few, as it was dialled anew; a session that stays has two.
				if n := runtime.NumGoroutine() - before; n > 3 || len(r.server.leases.held) != 0 || r.device.Status().Held {
					t.Errorf("%d goroutines and %d sessions are left", n, len(r.server.leases.held))
				}
				r.put("plc", wire.ConsoleDown{ID: "next", Seq: 1, Op: wire.ConsoleOpen}, false)
				time.Sleep(time.Second)
				r.want("next", "opened")
			})
		})
	}
}

// Opens are bounded, however soon the sessions end.
func TestOpensAreBounded(t *testing.T) {
	for name, tap := range map[string]bool{"consoles": false, "taps": true} {
		var d leases
		opened, start := 0, time.Unix(1e9, 0)
		for i := range 60 * 1400 {
			now, id := start.Add(time.Duration(i)*time.Second/1400), fmt.Sprint(i)
			code, why := d.open(id, "plc", "", tap, now)
			if code == "" {
				opened++
				d.close(id, now)
			} else if !strings.Contains(why, "try again") {
				t.Fatal(why)
			}
		}
		if opened > opensBurst+opensEachMinute || opened < opensBurst {
			t.Errorf("%s: %d were opened in a minute", name, opened)
		}
	}
}

// Whatever is refused costs a few lines and answers, and all of its bytes are booked as refused.
func TestAFloodOfConsoleMessagesIsCounted(t *testing.T) {
	const n = 3000
	type down = wire.ConsoleDown
	open, tap := down{Op: wire.ConsoleOpen}, down{Op: wire.ConsoleTap}
	long := down{Op: wire.ConsoleOpen, ConsoleLine: wire.ConsoleLine{Mode: strings.Repeat("8", 60_000)}}
	for name, c := range map[string]struct {
		device   string
		message  down
		retained bool
	}{
		"opens":               {"plc", open, false},
		"unknown devices":     {"d%d", open, false},
		"retained":            {"r%d", tap, true},
		"no such session":     {"plc", down{Op: wire.ConsoleKeep}, false},
		"a mode that is none": {"plc", long, false},
	} {
		t.Run(name, func(t *testing.T) {
			withRig(t, 0, plentyOfRoom, func(r *rig) {
				var log bytes.Buffer
				var paid atomic.Int64
				r.server.floods, r.server.log = flood.NewLog(zerolog.New(&log)), zerolog.New(&log)
				r.server.Charge(flood.Toll{Pay: func(n int) { paid.Add(int64(n)) }})
				sent := 0
				for i := range n {
					device, m := c.device, c.message
					if strings.Contains(device, "%d") {
						device = fmt.Sprintf(device, i)
					}
					m.ID, m.Seq = fmt.Sprint("s", i), 1
					sent += len(m.Append(nil))
					r.put(device, m, c.retained)
					time.Sleep(time.Minute / n)
				}
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				answers := 0
				for _, m := range r.broker.Published("lb/gw/up/reply/+/console") {
					u, err := wire.ParseConsoleUp(m.Payload)
					if err != nil || u.Op != wire.ConsoleClosed || u.Error == wire.Timeout {
						continue
					}
					if answers++; len(m.Payload) > 2*detailBytes {
						t.Errorf("an answer of %d bytes", len(m.Payload))
					}
				}
				if lines := strings.Count(log.String(), "\n"); lines > 12 || answers > 10+6+1 || answers < 5 {
					t.Errorf("%d lines, %d answers:\n%.3000s", lines, answers, log.String())
				}
				if int(paid.Load()) < sent*9/10 {
					t.Errorf("%d of %d bytes are booked as refused", paid.Load(), sent)
				}
			})
		})
	}
}

// Answers to changes of the line wait for a slow link, but not without end.
func TestAnswersToChangesOfTheLineAreBounded(t *testing.T) {
	b := newOutbox(1<<10, 64)
	for range 100_000 {
		b.say(wire.ConsoleUp{Op: wire.ConsoleSet})
	}
	if len(b.queue) > outboxMost {
		t.Errorf("%d wait", len(b.queue))
	}
}
