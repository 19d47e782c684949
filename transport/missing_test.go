package transport

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/linkbeat/linkbeat/transport/codec"
)

// sendAll writes n publishes more, with identifiers from first on.
func sendAll(t *testing.T, f *window, first, n int, as use, now time.Time) (acks []*Ack) {
	t.Helper()
	for id := first; id < first+n; id++ {
		m := data(id)
		m.use = as
		a, err := f.send(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		f.offer(<-f.out)
		f.Put(fmt.Sprint("o.", id), packets.NewControlPacket(packets.Publish))
		f.writing(codec.Outbound{Kind: codec.TypePublish, QoS: 1, ID: uint16(id)}, now)
		acks = append(acks, a)
	}
	return acks
}

func pubackAt(f *window, id int, now time.Time) {
	f.answer(codec.Header{Kind: codec.TypePuback}, []byte{byte(id >> 8), byte(id)}, now)
}

// When what is passed is missing, named, overdue; a minute is detect_within.
func TestWhenAPublishIsMissing(t *testing.T) {
	const d = time.Minute
	at := func(after time.Duration) time.Time { return windowDay.Add(after) }
	f := newWindow(8)
	first := sendAll(t, f, 1, 1, useCaller, at(0))[0]
	if m := f.look(at(d), waitsOf(d)); m.now != 0 || m.again || !f.unanswered().Equal(at(0)) {
		t.Errorf("nothing passed it: %+v", m)
	}
	sendAll(t, f, 2, 1, useCaller, at(time.Second))
	pubackAt(f, 2, at(2*time.Second))
	if !f.unanswered().IsZero() || f.inFlight() != 0 || len(f.slots) != 0 {
		t.Errorf("since %v, %d in flight, %d slots", f.unanswered(), f.inFlight(), len(f.slots))
	}
	for _, c := range []struct {
		at      time.Duration
		missing bool
		now     int
		next    time.Duration // 0: none
	}{
		{3 * time.Second, false, 0, 4 * time.Second},
		{4 * time.Second, true, 0, missingSaid},
		{missingSaid, true, 1, d},
		{d, true, 1, 0},
	} {
		m := f.look(at(c.at), waitsOf(d))
		next := max(0, c.next-c.at)
		if first.Missing() != c.missing || m.now != c.now || m.next != next || !m.again || m.left != d-c.at {
			t.Errorf("after %v: %v, %+v", c.at, first.Missing(), m)
		}
	}
	pubackAt(f, 1, at(d))
	if m := f.look(at(d), waitsOf(d)); m.now != 0 || first.Err() != nil || m.again {
		t.Errorf("it came late: %+v, %v", m, first.Err())
	}
	sendAll(t, f, 3, 2, useCaller, at(d)) // the server was that late once
	pubackAt(f, 4, at(d))
	if m := f.look(at(d+missingSaid), waitsOf(d)); m.now != 0 {
		t.Errorf("%+v", m)
	}
}

// The window slides past so many, and no more; one that comes after all makes room for the next.
func TestTheWindowSlidesPastAsManyAsItMay(t *testing.T) {
	f, now := newWindow(40), windowDay
	sendAll(t, f, 1, 40, useCaller, now)
	pubackAt(f, 40, now)
	if len(f.slots) != 40-1-missingMost || f.inFlight() != 0 {
		t.Errorf("%d slots, %d in flight", len(f.slots), f.inFlight())
	}
	pubackAt(f, 1, now)
	if len(f.slots) != 40-2-missingMost {
		t.Errorf("%d slots after a late one", len(f.slots))
	}
	if m := f.look(now.Add(missingMay), waitsOf(time.Minute)); !m.full || m.fresh != 38 || m.now != 38 {
		t.Errorf("%+v", m)
	}
	f.stop()
	if len(f.slots) != 0 {
		t.Errorf("%d slots after the stop", len(f.slots))
	}
	f.fail(errors.New("end"))
}

// What nobody sends again is given up when it is overdue, and its PUBACK is known even then.
func TestGivenUp(t *testing.T) {
	f, now := newWindow(8), windowDay
	a := sendAll(t, f, 1, 1, useOnce, now)[0]
	sendAll(t, f, 2, 1, useCaller, now)
	pubackAt(f, 2, now)
	m := f.look(now.Add(time.Minute), waitsOf(time.Minute))
	if !errors.Is(a.Err(), ErrUnacknowledged) || m.again || len(f.slots) != 0 {
		t.Errorf("%v, %+v", a.Err(), m)
	}
	if _, _, known, _ := f.answer(codec.Header{Kind: codec.TypePuback}, []byte{0, 1}, now.Add(time.Hour)); !known {
		t.Error("its PUBACK is not known")
	}
	if f.fail(errors.New("end")); f.inFlight() != 0 {
		t.Error("in flight")
	}
}

// An answer to nothing that was asked restarts no wait.
func TestAnUnaskedAnswerIsNoProgress(t *testing.T) {
	f, now := newWindow(8), windowDay
	sendAll(t, f, 1, 1, useCaller, now)
	for _, kind := range []byte{codec.TypeSuback, codec.TypeUnsuback, codec.TypePuback} {
		if _, _, known, err := f.answer(codec.Header{Kind: kind}, []byte{0, 77, 0}, now.Add(time.Second)); known || err != nil {
			t.Errorf("%d: %v, %v", kind, known, err)
		}
	}
	if !f.unanswered().Equal(now) {
		t.Errorf("waits since %v", f.unanswered())
	}
}
