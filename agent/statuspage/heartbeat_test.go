package statuspage

import (
	"strings"
	"testing"
)

func TestLearntForPeople(t *testing.T) {
	base := Heartbeat{Phase: "learning", Evidence: "none", PathKind: "unknown", Reason: "nothing is proven yet",
		BudgetBytes: 100 << 10}
	with := func(f func(h *Heartbeat)) Heartbeat { h := base; f(&h); return h }
	for name, c := range map[string]struct {
		h    Heartbeat
		want []string
	}{
		"off": {Heartbeat{Phase: "off", Reason: "fixed by heartbeat.interval"}, []string{"fixed by heartbeat.interval"}},
		"at first": {base, []string{"learning: nothing is proven", "nothing is proven yet",
			"0 silences tested on 0 probe sessions (0 open) for 0 B, 100 KiB left"}},
		"remembered": {with(func(h *Heartbeat) { h.RememberedS = 230 }), []string{"nothing is proven, 3m50s is remembered"}},
		"settled": {with(func(h *Heartbeat) {
			h.Phase, h.Evidence, h.ProvenS, h.FailingS, h.PathKind, h.Path = "settled", "inbound", 236, 239, "loose",
				"wwan0 mqtts://a"
		}), []string{"settled: silence of 3m56s is proven, 3m59s fails",
			"path wwan0 mqtts://a is loose: pings are answered though it forgot us"}},
		"weak":   {with(func(h *Heartbeat) { h.Evidence = "weak" }), []string{"pings were answered, which proves little"}},
		"owed":   {with(func(h *Heartbeat) { h.Phase, h.BudgetBytes = "resting", -5 }), []string{"resting: ", "0 B left"}},
		"shrunk": {with(func(h *Heartbeat) { h.Canaries, h.Shrinks = 7, 1 }), []string{"7 canaries, 1 times shrunk"}},
	} {
		text := strings.Join(learnt(c.h), "\n")
		for _, part := range c.want {
			if !strings.Contains(text, part) {
				t.Errorf("%s: %q is missing in\n%s", name, part, text)
			}
		}
	}
}
