package demo

import (
	"strings"
	"testing"

	"github.com/linkbeat/linkbeat/agent/wire"
)

func TestTally(t *testing.T) {
	for _, tt := range []struct {
		name, sent, got string // got: seq=text
		want            Result
	}{
		{"nothing", "", "", Result{}},
		{"whole", "a b a", "1=a 2=b 3=a", Result{Sent: 3, Received: 3}},
		{"repeated", "a b", "1=a 1=a 2=b", Result{Sent: 2, Received: 2, Duplicated: 1}},
		{"one lost in the middle", "a b c", "1=a 2=c", Result{Sent: 3, Received: 2, Lost: 1}},
		{"the last lost", "a b c", "1=a 2=b", Result{Sent: 3, Received: 2, Lost: 1}},
		{"one altered", "a b c", "1=a 2=X 3=c", Result{Sent: 3, Received: 3, Lost: 1, Altered: 1}},
		{"numbers swapped", "a b c", "1=b 2=a 3=c", Result{Sent: 3, Received: 3, Lost: 1, Altered: 1}},
		{"arrived in another order", "a b a b", "1=a 4=b 2=b 3=a", Result{Sent: 4, Received: 4, Disordered: 2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tally := newTally()
			for line := range strings.FieldsSeq(tt.sent) {
				tally.send([]byte(line))
			}
			for frame := range strings.FieldsSeq(tt.got) {
				seq, text, _ := strings.Cut(frame, "=")
				body, _ := wire.NewBody([]byte(text), wire.Text)
				tally.arrive("gw/gps", wire.Record{Seq: uint64(seq[0] - '0'), Epoch: "a", Body: body})
			}
			if got := tally.result(); got != tt.want || got.Whole() != (tt.want.Lost == 0 && tt.want.Altered == 0) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			if got := tally.soFar(); got.Sent != tt.want.Sent || got.Received != tt.want.Received ||
				got.Duplicated != tt.want.Duplicated {
				t.Errorf("so far %+v", got)
			}
			if got, want := tally.complete(), tt.want.Received >= tt.want.Sent; got != want {
				t.Errorf("complete: %v", got)
			}
		})
	}
}
