package ledger

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/linkbeat/linkbeat/agent/statuspage"
	"github.com/linkbeat/linkbeat/config"
	"github.com/linkbeat/linkbeat/transport"
)

func TestLedger(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	now, unset := time.Unix(60, 0), true
	open := func(counted statuspage.Bytes) *Ledger {
		b := Open(root, zerolog.Nop(), func() time.Time { return now }, func() bool { return unset }, counted)
		b.SetBudget(config.Budget{Month: 1000, ResetsOn: 3})
		return b
	}
	b := open(statuspage.Bytes{Data: 5})
	b.Record(statuspage.Bytes{Data: 105}, "eth0")
	if m := b.Month(); m.Bytes != 100 {
		t.Errorf("before the clock is set: %+v", m)
	}
	now, unset = time.Date(2026, 11, 2, 23, 0, 0, 0, time.UTC), false
	b.Record(statuspage.Bytes{Data: 105, Ping: 10}, "wwan0")
	if m := b.Month(); m.Bytes != 110 || m.Since != "2026-10-03" || m.Interfaces["eth0"].Data != 100 ||
		m.Interfaces["wwan0"].Ping != 10 {
		t.Errorf("%+v", m)
	}
	b.Write()

	now = now.Add(2 * time.Hour) // the budget begins anew
	b = open(statuspage.Bytes{})
	b.Record(statuspage.Bytes{Headers: 799}, "wwan0")
	if m := b.Month(); m.Bytes != 799 || m.Since != "2026-11-03" || b.Level() != transport.BudgetNormal || b.Why() != "" {
		t.Errorf("%+v, %q", m, b.Why())
	}
	b.Record(statuspage.Bytes{Headers: 800}, "wwan0")
	if b.Level() != transport.BudgetLow || b.Exhausted() || b.Why() == "" {
		t.Errorf("%q", b.Why())
	}
	b.Record(statuspage.Bytes{Headers: 1000}, "wwan0")
	if b.Level() != transport.BudgetExhausted || !b.Exhausted() {
		t.Errorf("%q", b.Why())
	}
	b.Write()
	if m := open(statuspage.Bytes{}).Month(); m.Bytes != 1000 || m.Today["wwan0"].Headers != 1000 {
		t.Errorf("after a restart: %+v", m)
	}
	for range 100 { // old days go
		now = now.Add(24 * time.Hour)
		b.Record(statuspage.Bytes{Headers: b.last.Headers + 1}, "wwan0")
	}
	if len(b.doc.Days) != ledgerDays || b.Level() != transport.BudgetNormal {
		t.Errorf("%d days, %q", len(b.doc.Days), b.Why())
	}

	if err := os.WriteFile(filepath.Join(dir, ledgerFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if m := open(statuspage.Bytes{}).Month(); m.Bytes != 0 {
		t.Errorf("of a file that is none: %+v", m)
	}
	if _, err := os.Stat(filepath.Join(dir, b.file.Aside())); err != nil {
		t.Error(err)
	}
}

// What was counted while the clock was ten years ahead counts in this month, and in no later one.
func TestALedgerOfAClockThatWasAhead(t *testing.T) {
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	b := Open(root, zerolog.Nop(), func() time.Time { return now }, func() bool { return false }, statuspage.Bytes{})
	b.SetBudget(config.Budget{Month: 1000, ResetsOn: 1})
	b.Record(statuspage.Bytes{Data: 100}, "eth0")
	now = now.AddDate(10, 0, 0)
	b.Record(statuspage.Bytes{Data: 300}, "eth0")
	now = now.AddDate(-10, 0, 0)
	b.Record(statuspage.Bytes{Data: 350}, "eth0")
	if m := b.Month(); m.Bytes != 350 {
		t.Errorf("%+v", m)
	}
	now = now.AddDate(0, 1, 0)
	b.Record(statuspage.Bytes{Data: 360}, "eth0")
	if m := b.Month(); m.Bytes != 10 || len(b.doc.Days) != 2 {
		t.Errorf("a month later: %+v, %d days", m, len(b.doc.Days))
	}
}

func TestPeriodStart(t *testing.T) {
	for _, tt := range []struct {
		now  string
		day  int
		want string
	}{
		{"2026-11-21", 1, "2026-11-01"}, {"2026-11-21", 21, "2026-11-21"}, {"2026-11-21", 22, "2026-10-22"},
		{"2026-01-05", 28, "2025-12-28"}, {"2026-03-01", 28, "2026-02-28"},
	} {
		now, err := time.Parse(dayLayout, tt.now)
		if err != nil {
			t.Fatal(err)
		}
		if got := periodStart(now, tt.day).Format(dayLayout); got != tt.want {
			t.Errorf("%s, %d: %s, want %s", tt.now, tt.day, got, tt.want)
		}
	}
}

// A ledger that was emptied, cut or garbled is said in why and the log, with what it means; it counts nothing of the month any
// more.
func TestALedgerThatWasDamagedIsSaid(t *testing.T) {
	for name, damage := range map[string]func(p []byte) []byte{
		"emptied": func([]byte) []byte { return nil },
		"halved":  func(p []byte) []byte { return p[:len(p)/2] },
		"a digit": func(p []byte) []byte { return bytes.Replace(p, []byte("100"), []byte("900"), 1) },
		"zeros":   func(p []byte) []byte { return make([]byte, len(p)) },
		"huge":    func(p []byte) []byte { return append(p, bytes.Repeat([]byte(" "), ledgerMax)...) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			root, err := os.OpenRoot(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			now := time.Date(2026, 12, 2, 23, 0, 0, 0, time.UTC)
			var log bytes.Buffer
			open := func() *Ledger {
				return Open(root, zerolog.New(&log), func() time.Time { return now }, func() bool { return false },
					statuspage.Bytes{})
			}
			b := open()
			b.Record(statuspage.Bytes{Data: 100}, "eth0")
			b.Write()
			file := filepath.Join(dir, ledgerFile)
			p, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, damage(p), 0o600); err != nil {
				t.Fatal(err)
			}
			b = open()
			const says = "counting starts again"
			if why := b.Why(); !strings.Contains(why, says) || !strings.Contains(why, "may cost more than its budget") ||
				!strings.Contains(log.String(), says) {
				t.Errorf("why: %s\nlog: %s", why, &log)
			}
			if m := b.Month(); m.Bytes != 0 {
				t.Errorf("%+v", m)
			}
			if _, err := os.Stat(file + ".corrupt"); err != nil {
				t.Error(err)
			}
			now = now.Add(ledgerSay)
			if why := b.Why(); why != "" {
				t.Errorf("an hour later: %s", why)
			}
		})
	}
}
