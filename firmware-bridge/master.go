package bridge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/framing"
	"github.com/linkbeat/linkbeat/firmware-bridge/modbus"
)

// The silence before a request (SERIAL 2.5.1.1): 3.5 characters, and above 19200 baud a fixed time.
const (
	frameGapChars2 = 7 // halves of a character
	frameGapLeast  = 1750 * time.Microsecond
)

// endOfAnswer is the silence that ends an answer whose length is not known. USB adapters hold bytes back for up to 16 ms.
const endOfAnswer = 20 * time.Millisecond

// mostNoise is how much is kept in the hope that the end of it is an answer.
const mostNoise = 2 << 10

// errGarbled is of a request that brought bytes, and no answer.
var errGarbled = errors.New("bad answer")

// master owns an open bus for one session of its port: nobody else writes. One goroutine, pump, does nothing but read; run does all
// the rest: polls when they are due, and between any two requests of a poll one command, if one waits.
type master struct {
	d    *Device
	b    *bus
	port Port
	rx   chan []byte // from pump

	got         []byte        // since the last request went out
	quiet       time.Time     // the last byte was on the line, in or out
	stats       framing.Stats // of this session
	transaction uint16
	idleSince   time.Time // the last request ended
	served      bool      // the last turn was a command's

	owed map[byte]time.Time // by unit: until then an answer may come that is too late
}

func newMaster(d *Device, port Port) *master {
	now := time.Now()
	return &master{d: d, b: d.bus, port: port, rx: make(chan []byte, 64), quiet: now, idleSince: now, owed: map[byte]time.Time{}}
}

// pump hands over what the port reads until it says no.
func (m *master) pump(ctx context.Context) error {
	buf := make([]byte, readSize)
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
func (m *master) run(ctx context.Context) error {
	for ctx.Err() == nil {
		if m.d.holder.Load() != nil { // a console has the bus: no polls
			if err := m.pause(ctx); err != nil {
				return err
			}
			continue
		}
		job, due := m.b.schedule.Next(time.Now())
		if !(m.served && due) { // polls are not starved by commands
			if done, err := m.command(ctx); err != nil {
				return err
			} else if done {
				m.served = true
				continue
			}
		}
		m.served = false
		if !due {
			if err := m.rest(ctx); err != nil {
				return err
			}
			continue
		}
		if err := m.poll(ctx, job); err != nil {
			return err
		}
	}
	return nil
}

// pauseLook is how soon a bus finds out that its console has ended, should its last word not have had room in the queue.
const pauseLook = time.Second

// pause carries out what the console of a bus wants.
func (m *master) pause(ctx context.Context) error {
	timer := time.NewTimer(pauseLook)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case p := <-m.rx:
		m.take(p)
		m.spill()
	case w := <-m.d.queue:
		return m.serve(ctx, w)
	}
	return nil
}

// rest waits until there is something to do. What comes unasked is noise.
func (m *master) rest(ctx context.Context) error {
	var due <-chan time.Time
	if wake := m.b.schedule.Wake(time.Now()); !wake.IsZero() {
		timer := time.NewTimer(time.Until(wake))
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-ctx.Done():
	case <-due:
	case p := <-m.rx:
		m.take(p)
		m.spill()
	case w := <-m.d.queue:
		m.served = true
		return m.serve(ctx, w)
	}
	return nil
}

// command serves one command that waits; false: none does.
func (m *master) command(ctx context.Context) (bool, error) {
	select {
	case w := <-m.d.queue:
		return true, m.serve(ctx, w)
	default:
		return false, nil
	}
}

// ask sends one request and waits for its answer, which begins within timeout. The errors that leave the port as it is are
// ErrNoAnswer and errGarbled; an exception is an answer.
func (m *master) ask(ctx context.Context, q modbus.Query, timeout time.Duration) (pdu []byte, at time.Time, err error) {
	defer func() { m.idleSince = time.Now() }()
	if err := m.hush(ctx, m.owed[q.Unit]); err != nil {
		return nil, at, err
	}
	m.transaction++
	q.Transaction = m.transaction
	line := m.b.o.Protocol.Append(nil, q)
	now := time.Now()
	if err := m.d.push(m.port, line, now.Add(m.d.o.WriteTimeout+2*m.d.onLine(len(line)))); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			_ = m.port.Discard()
			err = ErrStuck
		}
		return nil, at, err
	}
	m.quiet = now.Add(m.d.onLine(len(line)))
	until := m.quiet.Add(timeout)
	late := time.NewTimer(time.Until(until))
	defer late.Stop()
	silence := time.NewTimer(time.Hour)
	defer silence.Stop()
	for silent := false; ; silent = false {
		select {
		case <-ctx.Done():
			return nil, at, ErrLost
		case p := <-m.rx:
			m.take(p)
			if at.IsZero() { // it has begun: now it has time to come to its end
				at = m.quiet
				until = latest(until, at.Add(2*m.d.onLine(m.b.o.Protocol.AnswerBytes(q))+endOfAnswer))
				late.Reset(time.Until(until))
			}
			silence.Reset(endOfAnswer)
		case <-silence.C:
			silent = true
		case <-late.C:
			if len(m.got) > 0 {
				m.spill()
				return nil, at, errGarbled
			}
			if m.b.o.Protocol != modbus.TCP {
				m.owed[q.Unit] = time.Now().Add(timeout)
			}
			return nil, at, ErrNoAnswer
		}
		if a, ok := m.b.o.Protocol.Find(m.got, q, silent); ok {
			pdu = slices.Clone(a.PDU)
			m.answered(a)
			return pdu, at, nil
		}
	}
}

// hush waits for the silence that a request needs, and until the unit owes no answer to an earlier one, which the schedule has done
// for polls already. It throws away what comes before.
func (m *master) hush(ctx context.Context, owed time.Time) error {
	gap := m.b.o.Turnaround
	if m.b.o.Protocol != modbus.TCP {
		gap += max(m.d.onLine(frameGapChars2)/2, frameGapLeast)
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for until := latest(time.Now().Add(m.d.o.WriteTimeout), owed); ; { // a bus that never falls silent is asked all the same
		select {
		case p := <-m.rx:
			m.take(p)
			m.spill()
			continue
		default:
		}
		wait := time.Until(latest(m.quiet.Add(gap), owed))
		if wait <= 0 || time.Now().After(until) {
			return nil
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return ErrLost
		case p := <-m.rx:
			m.take(p)
			m.spill()
		case <-timer.C:
		}
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
	m.d.count(m.stats)
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
	m.d.count(m.stats)
}

func (m *master) counted() framing.Stats { return m.stats }
