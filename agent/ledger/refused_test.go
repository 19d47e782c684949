package ledger

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/linkbeat/linkbeat/agent/statuspage"
	"github.com/linkbeat/linkbeat/config"
	"github.com/linkbeat/linkbeat/transport"
)

const mb = 1_000_000

// rig is a ledger with a budget, and what the link has counted.
type rig struct {
	*Ledger
	now     time.Time
	counted statuspage.Bytes
}

func newRig(t *testing.T, dir string, month int64) *rig {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	r := &rig{now: time.Date(2026, 11, 2, 23, 0, 0, 0, time.UTC)}
	r.Ledger = Open(root, zerolog.Nop(), func() time.Time { return r.now }, func() bool { return false }, statuspage.Bytes{})
	r.SetBudget(config.Budget{Month: config.Size(month), ResetsOn: 1})
	return r
}

// spend counts more bytes, and looks.
func (r *rig) spend(more statuspage.Bytes) transport.BudgetLevel {
	r.counted = r.counted.Plus(more)
	r.Record(r.counted, "wwan0")
	return r.Level()
}

// Telemetry keeps its part of the budget, whatever refused messages cost.
func TestWhatIsRefusedNeverSilencesTelemetry(t *testing.T) {
	for name, refused := range map[string]statuspage.Bytes{
		"6 MB in all":                    {Refused: 6 * mb},
		"a gigabyte":                     {Refused: 1000 * mb},
		"small ones, most of it headers": {Refused: 1 * mb, Headers: 5 * mb},
		"with TLS":                       {Refused: 2 * mb, Headers: 2 * mb, Overhead: 2 * mb},
	} {
		r := newRig(t, t.TempDir(), 6*mb)
		if level := r.spend(refused); level != transport.BudgetNormal || r.Exhausted() {
			t.Errorf("%s: %v", name, level)
		}
		if level := r.spend(statuspage.Bytes{Data: 44 * mb / 10}); level != transport.BudgetNormal {
			t.Errorf("%s: %v when 73 %% of the budget are telemetry", name, level)
		}
		if level := r.spend(statuspage.Bytes{Data: 2 * mb}); level != transport.BudgetExhausted {
			t.Errorf("%s: %v when telemetry has used its part", name, level)
		}
		m := r.Month()
		if all := refused.Sum() + 64*mb/10; m.Bytes != all || m.Refused < refused.Sum()-1000 || m.Refused > refused.Sum() {
			t.Errorf("%s: %d of %d bytes, %d refused", name, m.Bytes, all, m.Refused)
		}
	}
}

// What is counted in one look for all together is divided.
func TestHeadersAreAttributed(t *testing.T) {
	for name, c := range map[string]struct {
		more statuspage.Bytes
		want int64
	}{
		"nothing refused": {statuspage.Bytes{Data: 10, Headers: 90}, 0},
		"all refused":     {statuspage.Bytes{Refused: 10, Headers: 90, Overhead: 5}, 105},
		"half of it":      {statuspage.Bytes{Refused: 50, Data: 50, Headers: 90}, 95},
		"only headers":    {statuspage.Bytes{Headers: 90}, 0},
	} {
		if got := refusedOf(c.more); got != c.want {
			t.Errorf("%s: %d", name, got)
		}
	}
}

// Where refused messages go on after their share is used up, commands are not listened to, each time for longer: so all of them
// together stay within about twice the share.
func TestAFloodIsCutOff(t *testing.T) {
	const budget, share = 20 * mb, mb
	for name, persecond := range map[string]int64{"slow": 100, "fast": 20_000, "in bursts": 900_000} {
		r := newRig(t, t.TempDir(), budget)
		listened, looks := 0, 0
		for end := r.now.Add(25 * 24 * time.Hour); r.now.Before(end); looks++ {
			step := time.Second
			if r.Muted() {
				step = time.Minute
			} else {
				listened++
				r.counted.Refused += persecond
			}
			r.now = r.now.Add(step)
			r.Record(r.counted, "wwan0")
			r.Level()
		}
		if m := r.Month(); m.Refused > 3*share+40*persecond {
			t.Errorf("%s: %d bytes in a month, of a share of %d", name, m.Refused, share)
		}
		if why := r.Why(); !r.RefusedSpent() || !strings.Contains(why, "linkbeatctl acl") || r.Exhausted() {
			t.Errorf("%s: %q", name, why)
		}
		r.now = time.Date(2026, 12, 1, 0, 0, 1, 0, time.UTC) // the budget begins anew
		if r.Level(); r.Muted() || r.RefusedSpent() || r.Why() != "" {
			t.Errorf("%s: in the next month: %q", name, r.Why())
		}
	}
}

// A few refusals, and what is left of a flood, do not take the commands away.
func TestAFewRefusalsKeepTheCommands(t *testing.T) {
	r := newRig(t, t.TempDir(), 20*mb)
	r.spend(statuspage.Bytes{Refused: 2 * mb}) // in one look
	if r.Muted() || !r.RefusedSpent() {
		t.Error("muted by what has already come")
	}
	for range 20 {
		r.now = r.now.Add(25 * time.Hour)
		if r.spend(statuspage.Bytes{Refused: 10_000}); r.Muted() {
			t.Fatal("a few a day take the commands away")
		}
	}
	r.Write()
	none := newRig(t, t.TempDir(), 0)
	if none.spend(statuspage.Bytes{Refused: 1000 * mb}) != transport.BudgetNormal || none.Muted() || none.RefusedSpent() {
		t.Error("without a budget there is a share")
	}
}

// A ledger of an earlier version is read, and what this one writes is read by an earlier one: it does not know the new cause, and
// counts as many bytes.
func TestTheNewCauseIsReadBothWays(t *testing.T) {
	dir := t.TempDir()
	old := `{"layout":1,"days":{"2026-11-02":{"wwan0":{"handshake":1,"ping":2,"keepalive":0,"data":3,"cmd":4,"log":0,` +
		`"config":0,"probe":5,"overhead":6,"headers":7}}}}`
	if err := os.WriteFile(dir+"/"+ledgerFile, []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, dir, 1000)
	if m := r.Month(); m.Bytes != 28 || m.Refused != 0 {
		t.Errorf("%+v", m)
	}
	r.spend(statuspage.Bytes{Refused: 9})
	r.Write()
	p, err := os.ReadFile(dir + "/" + ledgerFile)
	if err != nil {
		t.Fatal(err)
	}
	var before struct {
		Layout int
		Days   map[string]map[string]struct{ Data, Cmd int64 }
	}
	if err := json.Unmarshal(p, &before); err != nil || before.Layout != 1 || before.Days["2026-11-02"]["wwan0"].Cmd != 4+9 {
		t.Errorf("%s: %v", p, err)
	}
	if again := newRig(t, dir, 1000); again.Month().Refused != 9 || again.Month().Bytes != 37 {
		t.Errorf("%+v", again.Month())
	}
	r = newRig(t, t.TempDir(), 0) // without a budget the file is as it was
	r.spend(statuspage.Bytes{Refused: 9})
	if r.Write(); r.doc.Refused != nil || r.Month().Bytes != 9 {
		t.Errorf("%+v", r.doc)
	}
}
