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

// The silence before a request (SERIAL 2.5.1.1): 3.5 characters, and above 19200 baud a fixed time.
const (
	frameGapChars2 = 7 // halves of a character
	frameGapLeast  = 1750 * time.Microsecond
)

// endOfAnswer is the silence that ends an answer whose length is not known. USB adapters hold bytes back for up to 16 ms.
const endOfAnswer = 20 * time.Millisecond

// mostNoise is how much is kept in the hope that the end of it is an answer.
const mostNoise = 2 << 10

// errGarbled is of a request that brought bytes, and no answer: whether it was carried out is not known.
var errGarbled = fmt.Errorf("%w: what came was none", ErrNoAnswer)

// errDoubt is of an answer that may be that to an earlier request.
var errStale = fmt.Errorf("%w: what came may be late", ErrNoAnswer)

// question is one request on its way.
type question struct {
	unit    int // index: who rests when it stays without an answer
	query   modbus.Query
	timeout time.Duration // for the answer to begin

	// of a command
	expires time.Time // it does not go out later; zero: never
	queued  time.Time // since when it waits to be the first of its command; zero: it is a later one, or a poll's
}

// ask sends one request and waits for its answer. The errors that leave the port as it is are ErrExpired, and then nothing was
// sent, ErrNoAnswer, and errGarbled and errDoubt, which are one; an exception is an answer.
func (m *master) ask(ctx context.Context, q question) (pdu []byte, at time.Time, err error) {
	defer func() { m.idleSince = time.Now() }()
	m.d.line.restore(m.port, m.d.holder.Load()) // a console that has just ended may not have been heard of
	free, err := m.hush(ctx)
	if err != nil {
		return nil, at, err
	}
	now := time.Now()
	if !q.expires.IsZero() && now.After(q.expires) {
		return nil, at, ErrExpired
	}
	if !q.queued.IsZero() {
		m.d.monitor.waited(now.Sub(latest(free, latest(q.queued, latest(m.idleSince, m.b.schedule.ReadyAt(q.unit))))))
	}
	m.transaction++
	q.query.Transaction = m.transaction
	if err := m.send(q.query, now); err != nil {
		return nil, at, err
	}
	asked := m.quiet
	pdu, at, err = m.answer(ctx, q)
	now = time.Now()
	switch {
	case errors.Is(err, ErrNoAnswer):
		return nil, at, m.unanswered(q, asked, now, err)
	case err != nil:
		return nil, at, err
	case !m.sure(q, pdu, asked, now):
		return nil, at, errStale
	case !fromGateway(pdu) && m.b.schedule.Heard(q.unit, now):
		m.show(q.unit, "")
	}
	return pdu, at, nil
}

// sure is false when an answer may be that to an earlier question. The unit rests while another one may come.
func (m *master) sure(q question, pdu []byte, asked, now time.Time) bool {
	if m.b.o.Protocol == modbus.TCP {
		return true
	}
	sure, rest := m.b.stale[q.unit].Answered(q.query, pdu, asked, now, m.b.o.Timeout)
	if !sure {
		m.b.schedule.Cooldown(q.unit, rest)
	}
	return sure
}

// fromGateway is true when it is a gateway that speaks, and not the unit.
func fromGateway(pdu []byte) bool {
	return len(pdu) == 2 && pdu[0]&modbus.ExceptionFlag != 0 && modbus.Exception(pdu[1]).FromGateway()
}

// send puts a request on the line.
func (m *master) send(q modbus.Query, now time.Time) error {
	line := m.b.o.Protocol.Append(nil, q)
	until := now.Add(m.d.o.WriteTimeout + 2*m.d.o.onLine(len(line)))
	err := m.d.push(m.port, line, until)
	if mode := m.d.o.RS485.Mode; err == nil && (mode == serialport.RS485RTS || mode == serialport.RS485GPIO) { // or the driver would stay on
		err = m.port.Drain(until)
	}
	m.quiet = latest(now.Add(m.d.o.onLine(len(line))), time.Now())
	if errors.Is(err, os.ErrDeadlineExceeded) {
		_ = m.port.Discard()
		err = ErrStuck
	}
	return err
}

// unanswered sees to it that nothing of a request comes late: neither its answer, nor the request itself if it may change something.
func (m *master) unanswered(q question, asked, now time.Time, err error) error {
	if m.b.o.Protocol != modbus.TCP { // whose answers name their request
		m.b.schedule.Cooldown(q.unit, m.b.owes(asked, now, q.timeout))
		m.b.stale[q.unit].Unanswered(q.query, asked, m.b.o.Timeout)
	}
	if modbus.Reads(q.query.PDU) {
		return err
	}
	if t, ok := m.port.(serialport.Aborter); ok && m.b.o.Protocol == modbus.TCP {
		_ = t.Abort()
		return fmt.Errorf("%w; the connection was %w", err, serialport.ErrAborted)
	}
	_ = m.port.Discard()
	return err
}

// answer waits for the answer to what was sent.
func (m *master) answer(ctx context.Context, q question) (pdu []byte, at time.Time, err error) {
	until := m.quiet.Add(q.timeout)
	late := time.NewTimer(time.Until(until))
	defer late.Stop()
	silence := time.NewTimer(time.Hour)
	defer silence.Stop()
	came := func(p []byte) {
		m.take(p)
		if at.IsZero() { // it has begun: now it has time to come to its end
			at = m.quiet
			until = latest(until, at.Add(2*m.d.o.onLine(m.b.o.Protocol.AnswerBytes(q.query))+endOfAnswer))
			late.Reset(time.Until(until))
		}
		silence.Reset(endOfAnswer)
	}
	for {
		silent, over := false, false
		select {
		case <-ctx.Done():
			return nil, at, ErrLost
		case p := <-m.rx:
			came(p)
		case <-silence.C:
			silent = true
		case <-late.C:
			waiting := len(m.rx) // more than nothing: it is this machine that was late
			over = waiting == 0 || !at.IsZero()
			for range waiting {
				came(<-m.rx)
			}
		}
		if a, ok := m.b.o.Protocol.Find(m.got, q.query, silent); ok {
			pdu = slices.Clone(a.PDU)
			m.answered(a)
			return pdu, at, nil
		}
		switch {
		case over && len(m.got) > 0:
			m.spill()
			return nil, at, errGarbled
		case over:
			return nil, at, ErrNoAnswer
		}
	}
}

// hush waits for the silence that a request needs, and throws away what comes before. free is when it was there.
func (m *master) hush(ctx context.Context) (free time.Time, err error) {
	gap := m.b.o.Turnaround
	if m.b.o.Protocol != modbus.TCP {
		gap += max(m.d.o.onLine(frameGapChars2)/2, frameGapLeast)
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for until := time.Now().Add(m.d.o.WriteTimeout); ; {
		wait := time.Until(m.quiet.Add(gap))
		if wait <= 0 && len(m.rx) == 0 || time.Now().After(until) { // a bus that never falls silent is asked all the same
			return m.quiet.Add(gap), nil
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return free, ErrLost
		case p := <-m.rx:
			m.take(p)
			m.spill()
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
