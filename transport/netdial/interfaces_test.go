package netdial

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/transport/faults"
)

func TestWays(t *testing.T) {
	w := &Interfaces{names: []string{"lb-none0", "lb-none1"}}
	if _, err := w.toTry(time.Now()); err == nil || faults.Of(err, time.Now()).Kind != faults.OutcomeSilence {
		t.Errorf("no interface is there: %v", err)
	}
	if name, _ := w.Better("lb-none1"); name != "" {
		t.Errorf("better is %q", name)
	}
	w.bindForbidden("lb-none0", errors.New("operation not permitted"))
	if order, err := w.toTry(time.Now()); err != nil || !slices.Equal(order, []string{""}) || w.Why() == "" {
		t.Errorf("not permitted: %v, %v, why %q", order, err, w.Why())
	}
}
