package console

import (
	"bytes"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/agent/wire"
)

func TestOutbox(t *testing.T) {
	now := time.UnixMilli(1234)
	b := newOutbox(3*wire.ConsoleChunk, wire.ConsoleChunk)
	b.data(now, false, []byte("a"))
	b.data(now.Add(time.Millisecond), false, []byte("b"))
	b.data(now, true, []byte("c"))
	b.say(wire.ConsoleUp{Op: wire.ConsoleKept})
	b.data(now, true, []byte("d"))
	for i, want := range []wire.ConsoleUp{
		{Op: wire.ConsoleData, TS: 1234, Data: []byte("ab")}, // the time of the first byte
		{Op: wire.ConsoleData, TS: 1234, Data: []byte("c"), Out: true},
		{Op: wire.ConsoleKept},
		{Op: wire.ConsoleData, TS: 1234, Data: []byte("d"), Out: true}, // what was said in between stays there
	} {
		got, ok := b.take()
		if !ok || got.Op != want.Op || got.TS != want.TS || got.Out != want.Out || !bytes.Equal(got.Data, want.Data) {
			t.Errorf("%d: %+v, want %+v", i, got, want)
		}
	}
	if _, ok := b.take(); ok {
		t.Error("something out of nothing")
	}
}

// After a loss it waits until there is room again: one hole instead of many, and no messages of a few bytes.
func TestOutboxLosesInOnePiece(t *testing.T) {
	b := newOutbox(1000, 100)
	small := make([]byte, 10)
	for range 200 {
		b.data(time.Time{}, false, small)
	}
	holes, messages := 0, 0
	for range 100 {
		m, ok := b.take()
		if !ok {
			t.Fatal("nothing to take")
		}
		if messages++; m.Lost > 0 {
			holes++
		}
		for range 20 { // twice as fast as it is taken
			b.data(time.Time{}, false, small)
		}
		if len(m.Data) != 100 {
			t.Fatalf("a message of %d bytes", len(m.Data))
		}
	}
	if holes == 0 || holes > messages/5 {
		t.Errorf("%d holes in %d messages", holes, messages)
	}
}

// How much was taken is told after what the device had said by then.
func TestOutboxTellsWhatWasTakenInOrder(t *testing.T) {
	b := newOutbox(1000, 100)
	b.took(5)
	b.data(time.Time{}, false, []byte("echo"))
	b.took(5)
	b.say(wire.ConsoleUp{Op: wire.ConsoleKept})
	b.took(5)
	b.say(wire.ConsoleUp{Op: wire.ConsoleKept})
	for _, want := range []int64{5, 15} {
		if m, _ := b.take(); m.Taken != want {
			t.Errorf("taken %d, want %d", m.Taken, want)
		}
	}
}

func TestOutboxCountsWhatDoesNotFit(t *testing.T) {
	b := newOutbox(2*wire.ConsoleChunk, wire.ConsoleChunk)
	big := make([]byte, wire.ConsoleChunk+100)
	b.data(time.Time{}, false, big)
	b.data(time.Time{}, false, big)                // does not fit
	b.data(time.Time{}, false, big)                // nor does this
	b.data(time.Time{}, false, []byte("lost too")) // one hole until half of it is free
	first, _ := b.take()
	b.data(time.Time{}, false, []byte("tail"))
	sizes, lost := []int{len(first.Data)}, []int64{first.Lost}
	for m, ok := b.take(); ok; m, ok = b.take() {
		sizes, lost = append(sizes, len(m.Data)), append(lost, m.Lost)
	}
	if len(sizes) != 3 || sizes[0] != wire.ConsoleChunk || sizes[1] != 100 || sizes[2] != 4 {
		t.Fatalf("%v", sizes)
	}
	if lost[0] != 0 || lost[1] != 0 || lost[2] != int64(2*len(big)+8) || b.dropped() != lost[2] {
		t.Errorf("lost before each: %v, in all %d", lost, b.dropped())
	}
}

// Answers that an operator can ask for at will do not pile up.
func TestOutboxDoesNotGrowByQuestions(t *testing.T) {
	b := newOutbox(1000, 100)
	for range 100_000 {
		b.say(wire.ConsoleUp{Op: wire.ConsoleKept})
		b.say(wire.ConsoleUp{Op: wire.ConsoleFault})
	}
	n := 0
	for _, ok := b.take(); ok; _, ok = b.take() {
		n++
	}
	if n == 0 || n > outboxMost {
		t.Errorf("%d messages wait", n)
	}
}
