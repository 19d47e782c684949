package bridge

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/modbus"
	"github.com/linkbeat/linkbeat/firmware-bridge/serialport"
)

// The silence before a request (SERIAL 2.5.1.1): 3.5 characters, above 19200 baud a fixed time.
const (
	frameGapChars2 = 7 // halves of a character
	frameGapLeast  = 1750 * time.Microsecond
)

// endOfAnswer is the silence that ends an answer whose length is not known. USB adapters hold bytes back for up to 16 ms.
const endOfAnswer = 20 * time.Millisecond

// mostNoise is how much is kept before an answer is found: its end may be one.
const mostNoise = 2 << 10

// errGarbled: bytes came, but no answer. Whether the request was carried out is not known.
var errGarbled = fmt.Errorf("%w: what came was none", ErrNoAnswer)

// errStale: the answer may belong to an earlier request.
var errStale = fmt.Errorf("%w: what came may be late", ErrNoAnswer)

// exchange is one request to a unit, and what its answer may take.
type exchange struct {
	unit    int // index: which unit is on cooldown when no answer comes
	query   modbus.Query
	timeout time.Duration // for the answer to begin

	// of a command
	expires time.Time // it does not go out later; zero: never
	queued  time.Time // since when its command waits, if it is the first request of it; else zero
}

// exchange sends one request and returns its answer, which may be an exception, and when the first byte of it was read. These
// errors leave the port usable: ErrExpired (nothing was sent), and ErrNoAnswer with its kinds errGarbled and errStale.
func (m *master) exchange(ctx context.Context, x exchange) (pdu []byte, at time.Time, err error) {
	defer func() { m.idleSince = time.Now() }()
	m.d.line.restore(m.port, m.d.holder.Load()) // a console may have ended just now
	idle, err := m.waitIdle(ctx)
	if err != nil {
		return nil, at, err
	}
	now := time.Now()
	if !x.expires.IsZero() && now.After(x.expires) {
		return nil, at, ErrExpired
	}
	if !x.queued.IsZero() {
		m.d.monitor.waited(now.Sub(latest(idle, latest(x.queued, latest(m.idleSince, m.b.schedule.ReadyAt(x.unit))))))
	}
	m.transaction++
	x.query.Transaction = m.transaction
	if err := m.send(x.query, now); err != nil {
		return nil, at, err
	}
	asked := m.quiet
	pdu, at, err = m.awaitAnswer(ctx, x)
	now = time.Now()
	switch {
	case errors.Is(err, ErrNoAnswer):
		return nil, at, m.noAnswer(x, asked, now, err)
	case err != nil:
		return nil, at, err
	case !m.fresh(x, pdu, asked, now):
		return nil, at, errStale
	case !fromGateway(pdu) && m.b.schedule.Heard(x.unit, now):
		m.showState(x.unit, "")
	}
	return pdu, at, nil
}

// fresh is false when an answer may belong to an earlier request. Then the unit is on cooldown for as long as another one may
// come.
func (m *master) fresh(x exchange, pdu []byte, asked, now time.Time) bool {
	if m.b.o.Protocol == modbus.TCP {
		return true
	}
	fresh, until := m.b.stale[x.unit].Answered(x.query, pdu, asked, now, m.b.o.Timeout)
	if !fresh {
		m.b.schedule.Cooldown(x.unit, until)
	}
	return fresh
}

// fromGateway is true for an answer of a gateway, when the unit itself has not answered.
func fromGateway(pdu []byte) bool {
	return len(pdu) == 2 && pdu[0]&modbus.ExceptionFlag != 0 && modbus.Exception(pdu[1]).FromGateway()
}

// send puts a request on the line.
func (m *master) send(q modbus.Query, now time.Time) error {
	line := m.b.o.Protocol.Append(nil, q)
	until := now.Add(m.d.o.WriteTimeout + 2*m.d.o.onLine(len(line)))
	err := m.d.push(m.port, line, until)
	// else the driver of the line would stay on
	if mode := m.d.o.RS485.Mode; err == nil && (mode == serialport.RS485RTS || mode == serialport.RS485GPIO) {
		err = m.port.Drain(until)
	}
	m.quiet = latest(now.Add(m.d.o.onLine(len(line))), time.Now())
	if errors.Is(err, os.ErrDeadlineExceeded) {
		_ = m.port.Discard()
		err = ErrStuck
	}
	return err
}

// noAnswer makes sure that nothing of a request without an answer comes late: not its answer (cooldown), and not the request
// itself if it may change something (what the port still holds of it is dropped).
func (m *master) noAnswer(x exchange, asked, now time.Time, err error) error {
	if m.b.o.Protocol != modbus.TCP { // with TCP an answer names its request
		m.b.schedule.Cooldown(x.unit, m.b.cooldownUntil(asked, now, x.timeout))
		m.b.stale[x.unit].Unanswered(x.query, asked, m.b.o.Timeout)
	}
	if modbus.Reads(x.query.PDU) {
		return err
	}
	if t, ok := m.port.(serialport.Aborter); ok && m.b.o.Protocol == modbus.TCP {
		_ = t.Abort()
		return fmt.Errorf("%w; the connection was %w", err, serialport.ErrAborted)
	}
	_ = m.port.Discard()
	return err
}

// awaitAnswer returns the answer to what was sent last, and when its first byte was read.
func (m *master) awaitAnswer(ctx context.Context, x exchange) (pdu []byte, at time.Time, err error) {
	until := m.quiet.Add(x.timeout)
	timeout := time.NewTimer(time.Until(until))
	defer timeout.Stop()
	silence := time.NewTimer(time.Hour)
	defer silence.Stop()
	came := func(p []byte) {
		m.received(p)
		if at.IsZero() { // it has begun: from now on it has the time that all of it takes on the line
			at = m.quiet
			until = latest(until, at.Add(2*m.d.o.onLine(m.b.o.Protocol.AnswerBytes(x.query))+endOfAnswer))
			timeout.Reset(time.Until(until))
		}
		silence.Reset(endOfAnswer)
	}
	for {
		silent, expired := false, false
		select {
		case <-ctx.Done():
			return nil, at, ErrLost
		case p := <-m.rx:
			came(p)
		case <-silence.C:
			silent = true
		case <-timeout.C:
			waiting := len(m.rx) // if there is any, this machine was late and not the unit
			expired = waiting == 0 || !at.IsZero()
			for range waiting {
				came(<-m.rx)
			}
		}
		if a, ok := m.b.o.Protocol.Find(m.got, x.query, silent); ok {
			pdu = slices.Clone(a.PDU)
			m.countAnswer(a)
			return pdu, at, nil
		}
		switch {
		case expired && len(m.got) > 0:
			m.discardNoise()
			return nil, at, errGarbled
		case expired:
			return nil, at, ErrNoAnswer
		}
	}
}

// waitIdle waits until the line was silent for as long as a request needs, drops what comes before that, and returns when it
// was so.
func (m *master) waitIdle(ctx context.Context) (idle time.Time, err error) {
	gap := m.b.o.Turnaround
	if m.b.o.Protocol != modbus.TCP {
		gap += max(m.d.o.onLine(frameGapChars2)/2, frameGapLeast)
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for until := time.Now().Add(m.d.o.WriteTimeout); ; {
		wait := time.Until(m.quiet.Add(gap))
		if wait <= 0 && len(m.rx) == 0 || time.Now().After(until) { // a bus that is never silent is asked all the same
			return m.quiet.Add(gap), nil
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return idle, ErrLost
		case p := <-m.rx:
			m.received(p)
			m.discardNoise()
		case <-timer.C:
		}
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
