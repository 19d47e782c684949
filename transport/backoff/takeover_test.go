package backoff

import (
	"strings"
	"testing"
	"time"
)

func TestTakeoverSigns(t *testing.T) {
	for _, tt := range []struct{ name, play, want string }{
		{"one close is none", "close", ""},
		{"two closes accuse nobody", "close close", "its log says why"},
		{"silences of similar length are a limit", "close/45s close/46s close/44.5s", "after 46s in which we sent nothing"},
		{"a limit of seconds is one", "close/6s close/7s", "closes what is silent"},
		{"silences of any length are none", "close/45s close/12s", "its log says why"},
		{"a close amid data is no silence", "close/45s close", "its log says why"},
		{"at once is no silence", "close/1s close/1s", "its log says why"},
		{"a loss forgets the silences", "close/10s loss close/45s close/45s", "after 45s"},
		{"a foreign state tells more than silences", "close/45s close/45s retained:other", "takes our session over"},
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
				kind, after, _ := strings.Cut(kind, "/")
				silence, _ := time.ParseDuration(after)
				switch kind {
				case "close":
					k.Ended(true, silence)
				case "loss":
					k.Ended(false, 0)
				case "stable":
					k.Stable()
				default:
					k.Seen([]byte(payload), kind == "retained")
				}
			}
			got := k.Why("gw", "state")
			if !strings.Contains(got, tt.want) || (tt.want == "") != (got == "") {
				t.Errorf("got %q", got)
			}
			if evidence := strings.Contains(tt.play, "other"); strings.Contains(got, "client") && !evidence {
				t.Errorf("accused without evidence: %q", got)
			}
		})
	}
}
