package backoff

import (
	"strings"
	"testing"
)

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
			k := NewTakeover()
			k.Announced([]byte("birth"), []byte("will"))
			for what := range strings.FieldsSeq(tt.play) {
				kind, payload, _ := strings.Cut(what, ":")
				switch kind {
				case "close":
					k.Ended(true)
				case "loss":
					k.Ended(false)
				case "stable":
					k.Stable()
				default:
					k.Seen([]byte(payload), kind == "retained")
				}
			}
			if got := k.Why("gw", "state"); !strings.Contains(got, tt.want) || (tt.want == "") != (got == "") {
				t.Errorf("got %q", got)
			}
		})
	}
}
