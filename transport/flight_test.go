package transport

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// flown is a flight with n QoS 1 publishes written, identifiers 1 to n.
func flown(t *testing.T, n int) (*flight, []*Ack) {
	t.Helper()
	f := newFlight(8)
	var acks []*Ack
	for id := 1; id <= n; id++ {
		a, err := f.send(t.Context(), data(id))
		if err != nil {
			t.Fatal(err)
		}
		f.hand(<-f.out)
		f.Put(fmt.Sprint("o.", id), packets.NewControlPacket(packets.Publish))
		f.writing(outbound{kind: typePublish, qos: 1, id: uint16(id)}, backoffDay)
		acks = append(acks, a)
	}
	return f, acks
}

func puback(f *flight, id byte) bool {
	_, _, known, _ := f.answer(header{kind: typePuback}, []byte{0, id}, backoffDay)
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

func TestAcksCompleteInOrder(t *testing.T) {
	for _, tt := range []struct {
		name    string
		pubacks []byte
		want    string
		flight  int
	}{
		{"in order", []byte{1, 2}, "1:true 2:true", 2},
		{"a later one waits for the earlier", []byte{2, 3}, "", 4},
		{"and all complete with it", []byte{2, 3, 1}, "1:true 2:true 3:true", 1},
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
			f.fail(errOver)
			f.fail(errOver)
			for i, a := range acks {
				<-a.Done()
				if e := a.Err(); e != nil && (!errors.Is(e, ErrLost) || !errors.Is(e, errOver)) {
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
	if _, owed := f.writing(outbound{kind: typeSubscribe, id: 7, filters: 2}, backoffDay); owed != 3 {
		t.Errorf("owed %d", owed)
	}
	if _, owed, known, err := f.answer(header{kind: typeSuback}, []byte{0, 7, 0, 1}, backoffDay); owed != 2 || !known || err != nil {
		t.Errorf("owed %d, known %v, %v", owed, known, err)
	}
	if _, _, known, _ := f.answer(header{kind: typeSuback}, []byte{0, 1, 0}, backoffDay); known {
		t.Error("a SUBACK was taken for a publish's")
	}
	if !puback(f, 1) || puback(f, 1) {
		t.Error("PUBACK")
	}
	if got := f.owed(); got != 1 {
		t.Errorf("owed %d", got)
	}
}

func TestSubackOfTooManyCodesIsNonsense(t *testing.T) {
	f := newFlight(1)
	f.writing(outbound{kind: typeSubscribe, id: 7, filters: 2}, backoffDay)
	_, _, _, err := f.answer(header{kind: typeSuback}, []byte{0, 7, 0, 0, 0}, backoffDay)
	if e := asFault(err, backoffDay); e.kind != outcomeNonsense {
		t.Errorf("got %v", err)
	}
}

func TestTakeoverSigns(t *testing.T) {
	for _, tt := range []struct{ name, play, want string }{
		{"one close is none", "close", ""},
		{"two closes are a suspicion", "close close", "may use the id"},
		{"a loss in between is none", "close loss close", ""},
		{"the state of an earlier process is none", "retained:other", ""},
		{"our own late will is none", "close live:will retained:birth", ""},
		{"a foreign state after a close is sure", "close retained:other", "takes our session over"},
		{"a foreign state while we are up may be of an earlier process", "live:other", ""},
		{"but not time and again", "live:other live:other live:other", "announces itself"},
		{"over when stable", "close retained:other close stable", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := newTakeover()
			k.announced([]byte("birth"), []byte("will"))
			for what := range strings.FieldsSeq(tt.play) {
				kind, payload, _ := strings.Cut(what, ":")
				switch kind {
				case "close":
					k.ended(true)
				case "loss":
					k.ended(false)
				case "stable":
					k.stable()
				default:
					k.seen([]byte(payload), kind == "retained")
				}
			}
			if got := k.why("gw", "state"); !strings.Contains(got, tt.want) || (tt.want == "") != (got == "") {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestFilterMatches(t *testing.T) {
	for _, tt := range []struct {
		filter, topic string
		want          bool
	}{
		{"a/b", "a/b", true}, {"a/b", "a/c", false}, {"a/+", "a/b", true}, {"a/+", "a", false}, {"a/+", "a/b/c", false},
		{"a/#", "a", true}, {"a/#", "a/b/c", true}, {"#", "a/b", true}, {"#", "$SYS/x", false}, {"+/x", "$SYS/x", false},
		{"$SYS/#", "$SYS/x", true}, {"+/+", "/a", true}, {"+", "/a", false}, {"$share/g/a/+", "a/b", true}, {"a", "a/b", false},
		{"a/+/c", "a//c", true},
	} {
		if got := matches(tt.filter, tt.topic); got != tt.want {
			t.Errorf("%s takes %s: %v", tt.filter, tt.topic, got)
		}
	}
}

// What goes apart does not wait for a place behind the others, and is drained like them.
func TestTheOtherWindow(t *testing.T) {
	f, _ := flown(t, 8)
	full, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.send(full, data(9)); !errors.Is(err, context.Canceled) {
		t.Fatalf("the window is not full: %v", err)
	}
	for id := range apartWindow {
		if _, err := f.sendIn(t.Context(), f.apart, data(9+id)); err != nil {
			t.Fatal(err)
		}
		f.hand(<-f.out)
		f.Put(fmt.Sprint("o.", 9+id), packets.NewControlPacket(packets.Publish))
		f.writing(outbound{kind: typePublish, qos: 1, id: uint16(9 + id)}, backoffDay)
	}
	if _, err := f.sendIn(full, f.apart, data(99)); !errors.Is(err, context.Canceled) {
		t.Fatalf("the other one has no end: %v", err)
	}
	f.stop()
	drained := make(chan int)
	go func() {
		f.drained(t.Context())
		drained <- f.inFlight()
	}()
	for id := byte(1); id <= 8+apartWindow; id++ {
		puback(f, id)
	}
	if n := <-drained; n != 0 {
		t.Errorf("%d in flight", n)
	}
}
