package transport

import (
	"strings"
	"testing"
)

func TestOptionsAreChecked(t *testing.T) {
	_, err := New(Options{MaxPacket: 5, StateTopic: "x"})
	for _, want := range []string{"client id is empty", "no server", "max packet of 5 bytes", `state topic "x"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
}
