package transport

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/linkbeat/linkbeat/transport/codec"
	"github.com/linkbeat/linkbeat/transport/faults"
)

var windowDay = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// flown is a window with n QoS 1 publishes written, identifiers 1 to n.
func flown(t *testing.T, n int) (*window, []*Ack) {
	t.Helper()
	f := newWindow(8)
	var acks []*Ack
	for id := 1; id <= n; id++ {
		a, err := f.send(t.Context(), data(id))
		if err != nil {
			t.Fatal(err)
		}
		f.offer(<-f.out)
		f.Put(fmt.Sprint("o.", id), packets.NewControlPacket(packets.Publish))
		f.writing(codec.Outbound{Kind: codec.TypePublish, QoS: 1, ID: uint16(id)}, windowDay)
		acks = append(acks, a)
	}
	return f, acks
}

func puback(f *window, id byte) bool {
	_, _, known, _ := f.answer(codec.Header{Kind: codec.TypePuback}, []byte{0, id}, windowDay)
	return known
}

func doneAcks(acks []*Ack) string {
	var s []string
	for i, a := range acks {
		if !errors.Is(a.Err(), ErrPending) {
			s = append(s, fmt.Sprintf("%d:%v", i+1, a.Err() == nil))
		}
	}
	return strings.Join(s, " ")
}

// Each Ack is done by itself, and its slot free; so are the slots of those that the server passed.
func TestEachAckCompletesByItself(t *testing.T) {
	for _, tt := range []struct {
		name    string
		pubacks []byte
		want    string
		flight  int
	}{
		{"in order", []byte{1, 2}, "1:true 2:true", 2},
		{"the window slides past the first", []byte{2, 3}, "2:true 3:true", 1},
		{"which may still come", []byte{2, 3, 1}, "1:true 2:true 3:true", 1},
		{"in reverse order", []byte{4, 3, 2, 1}, "1:true 2:true 3:true 4:true", 0},
		{"the last one only", []byte{4}, "4:true", 0},
		{"twice is ignored", []byte{1, 1}, "1:true", 3},
		{"of nothing is ignored", []byte{9}, "", 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, acks := flown(t, 4)
			for _, id := range tt.pubacks {
				puback(f, id)
			}
			if got := doneAcks(acks); got != tt.want || f.inFlight() != tt.flight || len(f.slots) != tt.flight {
				t.Errorf("done %q, %d in flight, %d slots", got, f.inFlight(), len(f.slots))
			}
			f.fail(faults.ErrEnded)
			f.fail(faults.ErrEnded)
			for i, a := range acks {
				<-a.Done()
				if e := a.Err(); e != nil && (!errors.Is(e, ErrLost) || !errors.Is(e, faults.ErrEnded)) {
					t.Errorf("ack %d: %v", i+1, e)
				}
			}
			if _, err := f.send(t.Context(), data(1)); !errors.Is(err, ErrLost) {
				t.Errorf("send after the loss: %v", err)
			}
		})
	}
}

func TestWhatIsOwed(t *testing.T) {
	f, _ := flown(t, 2)
	if _, owed := f.writing(codec.Outbound{Kind: codec.TypeSubscribe, ID: 7, Filters: 2}, windowDay); owed != 3 {
		t.Errorf("owed %d", owed)
	}
	if _, owed, known, err := f.answer(codec.Header{Kind: codec.TypeSuback}, []byte{0, 7, 0, 1}, windowDay); owed != 2 ||
		!known || err != nil {
		t.Errorf("owed %d, known %v, %v", owed, known, err)
	}
	if _, _, known, _ := f.answer(codec.Header{Kind: codec.TypeSuback}, []byte{0, 1, 0}, windowDay); known {
		t.Error("a SUBACK was taken for a publish's")
	}
	if !puback(f, 1) || puback(f, 1) {
		t.Error("PUBACK")
	}
	if got := f.behind.open; got != 1 {
		t.Errorf("owed %d", got)
	}
}

func TestSubackOfTooManyCodesIsNonsense(t *testing.T) {
	f := newWindow(1)
	f.writing(codec.Outbound{Kind: codec.TypeSubscribe, ID: 7, Filters: 2}, windowDay)
	_, _, _, err := f.answer(codec.Header{Kind: codec.TypeSuback}, []byte{0, 7, 0, 0, 0}, windowDay)
	if e := faults.Of(err, windowDay); e.Kind != faults.OutcomeNonsense {
		t.Errorf("got %v", err)
	}
}

// What goes apart does not wait for a slot behind the others, and is drained like them.
func TestTheOtherWindow(t *testing.T) {
	f, _ := flown(t, 8)
	full, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.send(full, data(9)); !errors.Is(err, context.Canceled) {
		t.Fatalf("the window is not full: %v", err)
	}
	for id := range orderedWindow {
		if _, err := f.sendIn(t.Context(), f.orderedSlots, data(9+id)); err != nil {
			t.Fatal(err)
		}
		f.offer(<-f.out)
		f.Put(fmt.Sprint("o.", 9+id), packets.NewControlPacket(packets.Publish))
		f.writing(codec.Outbound{Kind: codec.TypePublish, QoS: 1, ID: uint16(9 + id)}, windowDay)
	}
	if _, err := f.sendIn(full, f.orderedSlots, data(99)); !errors.Is(err, context.Canceled) {
		t.Fatalf("the other one has no end: %v", err)
	}
	f.stop()
	drained := make(chan int)
	go func() {
		f.drained(t.Context())
		drained <- f.inFlight()
	}()
	for id := byte(1); id <= 8+orderedWindow; id++ {
		puback(f, id)
	}
	if n := <-drained; n != 0 {
		t.Errorf("%d in flight", n)
	}
}
