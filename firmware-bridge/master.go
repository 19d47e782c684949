package bridge

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/framing"
	"github.com/linkbeat/linkbeat/firmware-bridge/modbus"
	"github.com/linkbeat/linkbeat/firmware-bridge/serialport"
)

// master owns an open bus for one session of its port: nobody else writes. One goroutine, pump, does nothing but read; run does all
// the rest: polls when they are due, and between any two requests of a poll one request of a command, if one waits.
type master struct {
	d    *Device
	b    *bus
	port serialport.Port
	rx   chan []byte // from pump

	got         []byte        // since the last request went out
	quiet       time.Time     // the last byte was on the line, in or out
	stats       framing.Stats // of this session
	transaction uint16
	idleSince   time.Time // the last request ended

	orders []*order // taken from the queue and not done, in their order; at most Options.Queue
	served bool     // the last turn was a command's
}

func newMaster(d *Device, port serialport.Port) *master {
	now := time.Now()
	for i, u := range d.bus.units {
		if !d.bus.torn {
			d.bus.anew(i, now)
		}
		if u.lost {
			d.bus.schedule.Resumed(i, now)
		}
	}
	return &master{d: d, b: d.bus, port: port, rx: make(chan []byte, 64), quiet: now, idleSince: now}
}

// pump hands over what the port reads until it says no.
func (m *master) pump(ctx context.Context) error {
	buf := make([]byte, serialport.ReadSize)
	for {
		n, err := m.port.Read(buf, time.Time{})
		if n > 0 {
			m.d.taps.went(time.Now(), false, buf[:n])
			select {
			case m.rx <- slices.Clone(buf[:n]):
			case <-ctx.Done():
				return nil
			}
		}
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("read: %w", io.ErrNoProgress)
		}
	}
}

// run takes turns until the port fails, which it returns, or ctx ends.
func (m *master) run(ctx context.Context) (err error) {
	defer m.abandon()
	for ctx.Err() == nil && err == nil {
		m.admit()
		now := time.Now()
		job, due := m.b.schedule.Next(now)
		due = due && m.d.holder.Load() == nil // a console has the bus: no polls
		o := m.ready(now)
		m.served = o != nil && !(m.served && due) // polls are not starved by commands
		switch {
		case m.served:
			err = m.step(ctx, o)
		case due:
			err = m.poll(ctx, job)
		default:
			m.idle(ctx, m.wake(now))
		}
	}
	return err
}

// pauseLook is how soon a bus finds out that its console has ended, should its last word not have had room in the queue.
const pauseLook = time.Second

// wake is when there may be something to do that does not come by itself; zero: never.
func (m *master) wake(now time.Time) time.Time {
	wake := now.Add(pauseLook)
	if m.d.holder.Load() == nil {
		wake = m.b.schedule.Wake(now)
	}
	for _, o := range m.orders {
		if at := m.b.schedule.ReadyAt(o.unit); at.After(now) && (wake.IsZero() || at.Before(wake)) {
			wake = at
		}
	}
	return wake
}

// idle waits until there is something to do. What comes unasked is noise.
func (m *master) idle(ctx context.Context, wake time.Time) {
	var due <-chan time.Time
	if !wake.IsZero() {
		timer := time.NewTimer(time.Until(wake))
		defer timer.Stop()
		due = timer.C
	}
	queue := m.d.queue
	if len(m.orders) >= m.d.o.Queue {
		queue = nil
	}
	select {
	case <-ctx.Done():
	case <-due:
	case p := <-m.rx:
		m.take(p)
		m.spill()
	case w := <-queue:
		m.add(w)
	}
}

// take counts what came.
func (m *master) take(p []byte) {
	m.quiet = time.Now()
	if len(m.got) > mostNoise {
		m.spill()
	}
	m.got = append(m.got, p...)
	m.stats.Read += int64(len(p))
	m.stats.Pending += int64(len(p))
	m.d.monitor.count(m.stats)
}

// answered counts an answer, and what stood around it.
func (m *master) answered(a modbus.Answer) {
	m.stats.InFrames += int64(a.Size)
	m.stats.Frames++
	m.stats.Pending -= int64(a.Size)
	m.got = m.got[:len(m.got)-a.Size] // what stood around it; only the length matters from here on
	m.spill()
}

// spill counts what is held as bad.
func (m *master) spill() {
	if n := int64(len(m.got)); n > 0 {
		m.stats.Bad += n
		m.stats.Pending -= n
		m.stats.BadFrames++
	}
	m.got = m.got[:0]
	m.d.monitor.count(m.stats)
}

func (m *master) counted() framing.Stats { return m.stats }
