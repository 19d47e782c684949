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

// master owns an open bus for one session of its port: no one else writes. It has two goroutines. readLoop only reads. run does
// everything else: polls that are due and, between any two requests of a poll, one request of a command that waits.
type master struct {
	d    *Device
	b    *bus
	port serialport.Port
	rx   chan []byte // from readLoop

	got         []byte        // since the last request went out
	quiet       time.Time     // when the last byte was on the line, in or out
	stats       framing.Stats // of this session
	transaction uint16
	idleSince   time.Time // when the last request ended

	commands []*command // taken from the queue and not done, in order; at most Options.Queue
	served   bool       // the last turn was a command's: a poll that is due goes next
}

func newMaster(d *Device, port serialport.Port) *master {
	now := time.Now()
	for i, u := range d.bus.units {
		if !d.bus.aborted {
			d.bus.replan(i, now)
		}
		if u.lossReported {
			d.bus.schedule.Resumed(i, now)
		}
	}
	return &master{d: d, b: d.bus, port: port, rx: make(chan []byte, 64), quiet: now, idleSince: now}
}

// readLoop hands over what it reads until the port fails.
func (m *master) readLoop(ctx context.Context) error {
	buf := make([]byte, serialport.ReadSize)
	for {
		n, err := m.port.Read(buf, time.Time{})
		if n > 0 {
			m.d.taps.passed(time.Now(), false, buf[:n])
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
	defer m.failAll()
	for ctx.Err() == nil && err == nil {
		m.admit()
		now := time.Now()
		job, due := m.b.schedule.Next(now)
		due = due && m.d.holder.Load() == nil // a console has the bus: no polls
		c := m.ready(now)
		m.served = c != nil && !(m.served && due) // commands do not starve polls
		switch {
		case m.served:
			err = m.advance(ctx, c)
		case due:
			err = m.poll(ctx, job)
		default:
			m.idle(ctx, m.wake(now))
		}
	}
	return err
}

// pauseLook is how soon a bus notices that its console has ended, if the queue had no room for the message.
const pauseLook = time.Second

// wake is when there is something to do although nothing arrives; zero: never.
func (m *master) wake(now time.Time) time.Time {
	wake := now.Add(pauseLook)
	if m.d.holder.Load() == nil {
		wake = m.b.schedule.Wake(now)
	}
	for _, c := range m.commands {
		if at := m.b.schedule.ReadyAt(c.unit); at.After(now) && (wake.IsZero() || at.Before(wake)) {
			wake = at
		}
	}
	return wake
}

// idle waits until there is something to do. Bytes that come without a request are noise.
func (m *master) idle(ctx context.Context, wake time.Time) {
	var due <-chan time.Time
	if !wake.IsZero() {
		timer := time.NewTimer(time.Until(wake))
		defer timer.Stop()
		due = timer.C
	}
	queue := m.d.queue
	if len(m.commands) >= m.d.o.Queue {
		queue = nil
	}
	select {
	case <-ctx.Done():
	case <-due:
	case p := <-m.rx:
		m.received(p)
		m.discardNoise()
	case w := <-queue:
		m.add(w)
	}
}

// received keeps and counts what was read.
func (m *master) received(p []byte) {
	m.quiet = time.Now()
	if len(m.got) > mostNoise {
		m.discardNoise()
	}
	m.got = append(m.got, p...)
	m.stats.Read += int64(len(p))
	m.stats.Pending += int64(len(p))
	m.d.monitor.count(m.stats)
}

// countAnswer counts an answer. The bytes before and after its frame are noise.
func (m *master) countAnswer(a modbus.Answer) {
	m.stats.InFrames += int64(a.Size)
	m.stats.Frames++
	m.stats.Pending -= int64(a.Size)
	m.got = m.got[:len(m.got)-a.Size] // what is left is counted by its length, not read again
	m.discardNoise()
}

// discardNoise drops what is held, and counts it as bad.
func (m *master) discardNoise() {
	if n := int64(len(m.got)); n > 0 {
		m.stats.Bad += n
		m.stats.Pending -= n
		m.stats.BadFrames++
	}
	m.got = m.got[:0]
	m.d.monitor.count(m.stats)
}

func (m *master) sessionStats() framing.Stats { return m.stats }
