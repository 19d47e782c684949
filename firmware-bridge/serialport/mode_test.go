package serialport

import (
	"testing"
	"time"
)

func TestParseMode(t *testing.T) {
	for s, want := range map[string]Mode{
		"":      {8, 'N', OneStop},
		"8N1":   {8, 'N', OneStop},
		"7e1":   {7, 'E', OneStop},
		"7O2":   {7, 'O', TwoStop},
		"5N1.5": {5, 'N', OneAndHalfStop},
		"6M2":   {6, 'M', TwoStop},
		"8S1":   {8, 'S', OneStop},
	} {
		got, err := ParseMode(s)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v", s, got, err)
		}
		if again, err := ParseMode(got.String()); err != nil || again != got {
			t.Errorf("%q prints as %q", s, got)
		}
	}
	for _, s := range []string{"8", "8N", "9N1", "4N1", "8X1", "8N3", "8N0", "8N1 ", "N81", "8N1.5", "8-N-1", "88N1"} {
		if m, err := ParseMode(s); err == nil {
			t.Errorf("%q read as %v", s, m)
		}
	}
}

func TestCharTime(t *testing.T) {
	for _, c := range []struct {
		mode string
		baud int
		want time.Duration
	}{
		{"8N1", 9600, 1041666 * time.Nanosecond},
		{"8E1", 9600, 1145833 * time.Nanosecond},
		{"8N2", 115200, 95486 * time.Nanosecond},
		{"5N1.5", 75, 100 * time.Millisecond},
		{"8N1", 0, 0},
	} {
		m, err := ParseMode(c.mode)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.CharTime(c.baud); got != c.want {
			t.Errorf("%s at %d: %v, want %v", c.mode, c.baud, got, c.want)
		}
	}
	if got := (Mode{}).CharTime(1000); got != 10*time.Millisecond {
		t.Errorf("the zero mode is not 8N1: %v", got)
	}
}
