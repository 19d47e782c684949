// Package ledger counts the bytes on the wire by day, interface and cause over restarts, and says what they leave of the
// monthly data budget. What was counted comes in; the level of the budget goes out. It does not know the link.
package ledger

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/linkbeat/linkbeat/agent/statedir"
	"github.com/linkbeat/linkbeat/agent/statuspage"
	"github.com/linkbeat/linkbeat/agent/supervise"
	"github.com/linkbeat/linkbeat/config"
	"github.com/linkbeat/linkbeat/transport"
)

const (
	ledgerFile       = "ledger.json"
	ledgerLayout     = 1
	ledgerDays       = 62                  // two months
	ledgerAhead      = 31 * 24 * time.Hour // a day further ahead than that was of a clock that was wrong
	ledgerLook       = 10 * time.Second    // how often the link is asked
	ledgerLookPaid   = time.Second         // the same where there is a budget: what is refused is cut off that soon
	ledgerWrite      = 5 * time.Minute     // writes are never closer together, but at the end
	ledgerMax        = 1 << 20             // bytes of a file that is ours
	ledgerSay        = time.Hour           // how long a file that could not be read is a reason for concern
	unknownInterface = "unknown"           // for what went by an interface that is not known
	dayLayout        = time.DateOnly
	lowPart          = 0.8 // of the budget, from which on logs and probes are paused
)

// Ledger is the ledger over days and restarts: bytes on the wire by day, interface and cause; and what they leave of the
// budget. Days are those of UTC. Safe for concurrent use; nothing but Run and Write touches the disk.
type Ledger struct {
	file  statedir.JSON[document]
	log   zerolog.Logger
	now   func() time.Time
	unset func() bool // the clock cannot be believed

	mu    sync.Mutex
	doc   document
	last  statuspage.Bytes            // counted since the start of the process, at the last entry
	iface string                      // of the last entry
	owed  map[string]statuspage.Bytes // by interface: of days that a clock that was not set could not name

	owedRefused int64 // of owed
	budget      config.Budget
	level       transport.BudgetLevel
	mute        muting
	fault       string
	aside       string    // why the file could not be read
	asideUntil  time.Time // until then that is worth saying
	dirty       bool
	wrote       time.Time
}

// document is the file.
type document struct {
	Layout int                                    `json:"layout"`
	Days   map[string]map[string]statuspage.Bytes `json:"days"` // day, interface
	// Refused is what of these messages cost that nobody took, with their part of the headers, by day; only where there is a
	// budget. In Days it is commands, as an earlier version has it and will read it.
	Refused map[string]int64 `json:"refused,omitempty"`
}

// unsound says which day has a number that was never counted; nil: none has. With it the budget would never be used up.
func (d document) unsound() error {
	for day, all := range d.Days {
		for iface, bytes := range all {
			if !bytes.Sound() || d.Refused[day] < 0 || d.Refused[day] > bytes.Sum() && len(all) == 1 {
				return fmt.Errorf("%s on %q has numbers that nothing counted", day, iface)
			}
		}
	}
	return nil
}

// Open reads the file; one that cannot be understood is set aside. counted is what the process has counted so far.
func Open(root *os.Root, log zerolog.Logger, now func() time.Time, unset func() bool, counted statuspage.Bytes) *Ledger {
	file := statedir.JSON[document]{Root: root, Name: ledgerFile, Layout: ledgerLayout, Max: ledgerMax}
	b := &Ledger{file: file, log: log, now: now, unset: unset, last: counted, iface: unknownInterface,
		owed: map[string]statuspage.Bytes{}, wrote: now()}
	var err error
	if b.doc, err = file.Load(); err == nil {
		err = b.doc.unsound()
	}
	if err != nil {
		b.file, b.doc = file.After(err), document{}
		supervise.Str(log.Warn().Err(err), "kept", b.file.Aside()).Msg("data ledger could not be read: counting starts again")
		b.asideUntil = now().Add(ledgerSay)
		b.aside = fmt.Sprintf("the data ledger could not be read (%v): counting starts again, "+
			"and this month may cost more than its budget", err)
	}
	b.doc.Layout = ledgerLayout
	if b.doc.Days == nil {
		b.doc.Days = map[string]map[string]statuspage.Bytes{}
	}
	return b
}

// Record enters what was counted since the last entry under today and an interface.
func (b *Ledger) Record(counted statuspage.Bytes, iface string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	more := counted.Minus(b.last)
	b.last = counted
	if b.budget.Month > 0 {
		b.owedRefused += refusedOf(more)
	}
	more.Cmd, more.Refused = more.Cmd+more.Refused, 0
	if iface == "" {
		iface = b.iface // down: what failed since belongs to the interface that was tried last, about
	}
	b.iface = iface
	if more != (statuspage.Bytes{}) {
		b.owed[iface] = b.owed[iface].Plus(more)
	}
	if b.unset() {
		return
	}
	today := b.now().UTC()
	day := today.Format(dayLayout)
	b.bringBack(today)
	for name, n := range b.owed {
		if b.doc.Days[day] == nil {
			b.doc.Days[day] = map[string]statuspage.Bytes{}
		}
		b.doc.Days[day][name] = b.doc.Days[day][name].Plus(n)
		b.dirty = true
	}
	clear(b.owed)
	if b.owedRefused > 0 {
		if b.doc.Refused == nil {
			b.doc.Refused = map[string]int64{}
		}
		b.doc.Refused[day] += b.owedRefused
		b.owedRefused = 0
	}
	for days := slices.Sorted(maps.Keys(b.doc.Days)); len(days) > ledgerDays; days = days[1:] {
		delete(b.doc.Days, days[0])
		delete(b.doc.Refused, days[0])
	}
}

// bringBack books what was counted while the clock was far ahead under today: it would count in every month until then. mu is
// held.
func (b *Ledger) bringBack(today time.Time) {
	day, far := today.Format(dayLayout), today.Add(ledgerAhead).Format(dayLayout)
	for ahead, of := range b.doc.Days {
		if ahead <= far {
			continue
		}
		if b.doc.Days[day] == nil {
			b.doc.Days[day] = map[string]statuspage.Bytes{}
		}
		for name, n := range of {
			b.doc.Days[day][name] = b.doc.Days[day][name].Plus(n)
		}
		if n := b.doc.Refused[ahead]; n > 0 {
			b.doc.Refused[day] += n
		}
		delete(b.doc.Days, ahead)
		delete(b.doc.Refused, ahead)
		b.dirty = true
	}
}

// SetBudget changes the budget.
func (b *Ledger) SetBudget(budget config.Budget) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.budget = budget
}

// Month is what was used since the day on which the month of the budget began.
func (b *Ledger) Month() statuspage.Month {
	b.mu.Lock()
	defer b.mu.Unlock()
	today := b.today()
	since := periodStart(today, b.budget.ResetsOn).Format(dayLayout)
	m := statuspage.Month{Since: since, Budget: b.budget.Month.Int64(), Interfaces: map[string]statuspage.Bytes{}}
	add := func(of map[string]statuspage.Bytes) {
		for iface, n := range of {
			m.Interfaces[iface] = m.Interfaces[iface].Plus(n)
			m.Bytes += n.Sum()
		}
	}
	for day, of := range b.doc.Days {
		if day >= since {
			add(of)
		}
	}
	add(b.owed)
	m.Refused = b.owedRefused
	for day, n := range b.doc.Refused {
		if day >= since {
			m.Refused += n
		}
	}
	m.Today = map[string]statuspage.Bytes{}
	maps.Copy(m.Today, b.doc.Days[today.Format(dayLayout)])
	return m
}

// today is the day, or while the clock is not set, the last one that is known of. mu is held.
func (b *Ledger) today() time.Time {
	now := b.now().UTC()
	if days := slices.Sorted(maps.Keys(b.doc.Days)); b.unset() && len(days) > 0 {
		if last, err := time.Parse(dayLayout, days[len(days)-1]); err == nil {
			return last
		}
	}
	return now
}

// periodStart is the last day of a month's that was now or before.
func periodStart(now time.Time, day int) time.Time {
	start := time.Date(now.Year(), now.Month(), max(day, 1), 0, 0, 0, 0, time.UTC)
	if start.After(now) {
		start = time.Date(now.Year(), now.Month()-1, max(day, 1), 0, 0, 0, 0, time.UTC)
	}
	return start
}

// Level says what the budget still allows, and logs a change.
func (b *Ledger) Level() transport.BudgetLevel {
	m := b.Month()
	level := transport.BudgetNormal
	switch part := float64(ownBytes(m)) / float64(max(m.Budget, 1)); {
	case m.Budget <= 0:
	case part >= 1:
		level = transport.BudgetExhausted
	case part >= lowPart:
		level = transport.BudgetLow
	}
	b.mu.Lock()
	changed := b.level != level
	b.level = level
	before := b.mute
	b.mute.look(m.Refused, shareOf(m.Budget), b.now())
	muted := b.mute
	b.mu.Unlock()
	b.tellMuting(before, muted, m)
	if changed {
		supervise.Str(b.log.Warn(), "why", b.Why()).Int64("bytes", m.Bytes).Int64("budget", m.Budget).Str("since", m.Since).
			Msg("monthly data budget " + levelText(level))
	}
	return level
}

// tellMuting logs what has changed about refused messages.
func (b *Ledger) tellMuting(before, now muting, m statuspage.Month) {
	switch {
	case now.until.IsZero() && !before.until.IsZero():
		b.log.Warn().Msg("commands are listened to again")
	case now.spent && (!before.spent || !before.until.Equal(now.until)):
		b.log.Warn().Str("why", now.why(m.Refused, m.Since)).Int64("bytes", m.Refused).
			Msg("refused messages have used up their share of the budget")
	}
}

// Muted reports that commands must not be listened to: what is refused costs more than its share of the budget.
func (b *Ledger) Muted() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.mute.until.IsZero()
}

// RefusedSpent reports that what is refused must not be answered: its share of the budget is used up.
func (b *Ledger) RefusedSpent() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mute.spent
}

func levelText(level transport.BudgetLevel) string {
	switch level {
	case transport.BudgetExhausted:
		return "used up"
	case transport.BudgetLow:
		return "nearly used up"
	}
	return "no longer short"
}

// Exhausted reports that only what matters most may still be sent.
func (b *Ledger) Exhausted() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.level == transport.BudgetExhausted
}

// Why is what the budget holds back, and for an hour that the file could not be read, or what else is wrong with it; empty:
// nothing.
func (b *Ledger) Why() string {
	m := b.Month()
	b.mu.Lock()
	defer b.mu.Unlock()
	used := fmt.Sprintf("%.0f %% of the budget of %s are used since %s", 100*float64(ownBytes(m))/float64(max(m.Budget, 1)),
		config.Size(m.Budget), m.Since)
	var all []string
	switch b.level {
	case transport.BudgetExhausted:
		all = append(all, used+": only devices of priority high, state and commands are sent, and the beat is at its longest")
	case transport.BudgetLow:
		all = append(all, used+": logs and probes are paused")
	}
	if why := b.mute.why(m.Refused, m.Since); why != "" {
		all = append(all, why)
	}
	if b.fault != "" {
		all = append(all, b.fault)
	} else if b.now().Before(b.asideUntil) {
		all = append(all, b.aside)
	}
	return strings.Join(all, "; ")
}

// Run calls look, which records what the link has counted, and writes now and then, until ctx is done.
func (b *Ledger) Run(ctx context.Context, look func()) error {
	tick := time.NewTicker(ledgerLookPaid)
	defer tick.Stop()
	for last := time.Now(); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if !b.paid() && time.Since(last) < ledgerLook {
			continue
		}
		last = time.Now()
		look()
		if b.now().Sub(b.wrote) >= ledgerWrite {
			b.Write()
		}
	}
}

// paid reports whether there is a budget.
func (b *Ledger) paid() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.budget.Month > 0
}

// Write keeps the file, when something has changed.
func (b *Ledger) Write() {
	b.mu.Lock()
	dirty, before := b.dirty, b.fault
	b.dirty, b.wrote = false, b.now()
	b.mu.Unlock()
	if !dirty {
		return
	}
	fault, err := "", b.file.Save(&b.mu, &b.doc)
	if err != nil {
		fault = fmt.Sprintf("the data ledger could not be saved: %v", err)
	}
	b.mu.Lock()
	b.fault, b.dirty = fault, b.dirty || err != nil
	b.mu.Unlock()
	if err != nil && before != fault {
		b.log.Warn().Err(err).Msg("data ledger could not be saved")
	}
}
