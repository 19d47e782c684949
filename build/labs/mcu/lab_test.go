package mcu

import (
	"testing"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// The tools for a Cortex-M are a download of their own, which `make lab-mcu` makes and `make test` does not, in CI neither: so
// there is no such test where they are missing, rather than one that is skipped.
func TestFirmware(t *testing.T) {
	t.Run("its framing on this machine", hostFraming)
	t.Run("its Modbus on this machine", hostModbus)
	lab := Lab()
	if err := kit.Missing(lab.Needs...); err != nil {
		t.Logf("not on a Cortex-M3, for which make lab-mcu installs what is missing: %v", err)
		return
	}
	t.Run("on a Cortex-M3", lab.Test)
}

// A judge that never says no proves nothing.
func TestTheBooksSayNo(t *testing.T) {
	want := []string{"a", "b", "c"}
	for _, tt := range []struct {
		name             string
		got              []string
		missing, strange int
	}{
		{"all", []string{"a", "b", "c"}, 0, 0},
		{"one is lost", []string{"a", "c"}, 1, 0},
		{"one came twice", []string{"a", "b", "b", "c"}, 0, 1},
		{"two changed places", []string{"a", "c", "b"}, 1, 1},
		{"nobody said that", []string{"a", "b", "x", "c", "y"}, 0, 2},
	} {
		if missing, strange := compare(want, tt.got); missing != tt.missing || strange != tt.strange {
			t.Errorf("%s: missing %d, strange %d; want %d, %d", tt.name, missing, strange, tt.missing, tt.strange)
		}
	}
	for s, want := range map[string]bool{"$A*41": true, "$A*42": false, "A*41": false, "$A": false, "": false} {
		if sound(s) != want {
			t.Errorf("sound(%q) is %v", s, !want)
		}
	}
}
