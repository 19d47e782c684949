package pathstore

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

func TestVerdictsSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	m := openStore(t, dir)
	want := map[string]string{"lb/gw-1/up/data/meter": "denied", "lb/gw-1/up/state": "ok"}
	m.KeepVerdicts("mqtts://a:8883 as gw-1", want)
	m.write()
	again := openStore(t, dir)
	if got, at := again.Verdicts("mqtts://a:8883 as gw-1"); !maps.Equal(got, want) || !at.Equal(storeNow) {
		t.Errorf("%v since %v", got, at)
	}
	if got, _ := again.Verdicts("mqtts://a:8883 as gw-2"); got != nil {
		t.Errorf("of another login: %v", got)
	}
}

// TestVerdictsAreBounded: many topics, and many logins; what is denied has room first.
func TestVerdictsAreBounded(t *testing.T) {
	dir := t.TempDir()
	m := openStore(t, dir)
	all := map[string]string{"lb/gw-1/up/data/zz": "denied", strings.Repeat("x", 2<<10): "denied"}
	for i := range 4000 {
		all[fmt.Sprintf("lb/gw-1/up/data/%04d", i)] = "ok"
	}
	m.KeepVerdicts("a", all)
	got, _ := m.Verdicts("a")
	if n := len(got); n < 1000 || n > 2000 || got["lb/gw-1/up/data/zz"] != "denied" {
		t.Errorf("%d topics", n)
	}
	for i := range 20 {
		m.KeepVerdicts(fmt.Sprint("login ", i), map[string]string{"a": "ok"})
	}
	if n := len(m.doc.Verdicts); n > verdictLogins {
		t.Errorf("%d logins", n)
	}
	m.write()
	if again := openStore(t, dir); again.Why() != "" {
		t.Error(again.Why())
	}
}

func TestOldVerdictsAreForgotten(t *testing.T) {
	now := storeNow
	m := Open(nil, zerolog.Nop(), func() time.Time { return now }, clockIsSet)
	m.KeepVerdicts("a", map[string]string{"x": "ok"})
	for after, kept := range map[time.Duration]bool{storeAge - time.Hour: true, storeAge + time.Hour: false} {
		now = storeNow.Add(after)
		if got, _ := m.Verdicts("a"); (got != nil) != kept {
			t.Errorf("after %v: %v", after, got)
		}
		m.KeepVerdicts("a", map[string]string{"x": "ok"})
		m.doc.Verdicts["a"] = storedVerdicts{At: storeNow.UnixMilli(), Topics: map[string]string{"x": "ok"}}
	}
}
