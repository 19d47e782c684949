// Package pathstore names network paths, and keeps what was learnt about them over restarts. It learns nothing itself: package
// transport does, and is handed a Store.
package pathstore

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/linkbeat/linkbeat/agent/statedir"
	"github.com/linkbeat/linkbeat/transport"
	"github.com/linkbeat/linkbeat/transport/heartbeat"
)

const (
	storeFile   = "paths.json"
	storePaths  = 64                  // the oldest make room
	storeAge    = 30 * 24 * time.Hour // what is older says nothing about today's network
	storeEvery  = 10 * time.Second    // writes are never closer together
	storeSay    = time.Hour           // how long a file that was set aside is a reason for concern
	storeName   = 1 << 10             // bytes of a path's name; one that is longer is not kept
	storeMax    = 256 << 10           // bytes of a file that is ours; what is kept is always less
	storeBeat   = 24 * time.Hour      // no silence that is worth a word is longer
	storeLayout = 1
)

// Store keeps what was learnt about paths, and what learning may still cost, in a file of the state directory. Safe for
// concurrent use; nothing but Run touches the disk.
type Store struct {
	file  statedir.JSON[document]
	log   zerolog.Logger
	now   func() time.Time
	unset func() bool   // the clock cannot be believed
	dirty chan struct{} // capacity 1

	mu    sync.Mutex
	doc   document // guarded by mu
	fault string   // why the file could not be written; guarded by mu

	aside      string    // why the file was set aside
	asideUntil time.Time // that is worth saying
}

var _ transport.Memory = (*Store)(nil)

// document is the file. Times are Unix milliseconds, *_s seconds.
type document struct {
	Layout int                   `json:"layout"`
	Budget storedBudget          `json:"budget"`
	Paths  map[string]storedPath `json:"paths"`

	Verdicts map[string]storedVerdicts `json:"verdicts,omitempty"` // by login at a server
	// by name; an earlier version knows it not, and forgets it
	Servers map[string]storedServer `json:"servers,omitempty"`
}

type storedBudget struct {
	Left     int64 `json:"left"`
	At       int64 `json:"at"`
	Unsynced bool  `json:"unsynced,omitempty"` // at is of a clock that was not set
}

type storedPath struct {
	ProvenS  float64 `json:"proven_s"`
	FailingS float64 `json:"failing_s,omitempty"`
	Kind     string  `json:"kind"`
	At       int64   `json:"at"`
	Unsynced bool    `json:"unsynced,omitempty"` // at is of a clock that was not set
}

// Open reads the file. One that cannot be understood is set aside, and Why says so; learning starts again.
func Open(root *os.Root, log zerolog.Logger, now func() time.Time, unset func() bool) *Store {
	file := statedir.JSON[document]{Root: root, Name: storeFile, Layout: storeLayout, Max: storeMax}
	m := &Store{file: file, log: log, now: now, unset: unset, dirty: make(chan struct{}, 1)}
	var err error
	if m.doc, err = file.Load(); err != nil {
		m.file = file.After(err)
		m.asideUntil = now().Add(storeSay)
		m.aside = fmt.Sprintf("what was learnt about paths could not be read (%v): learning starts again", err)
		log.Warn().Err(err).Str("kept", m.file.Aside()).
			Msg("what was learnt about paths could not be read: learning starts again")
	}
	m.doc.Layout = storeLayout
	if m.doc.Paths == nil {
		m.doc.Paths = map[string]storedPath{}
	}
	if m.doc.Verdicts == nil {
		m.doc.Verdicts = map[string]storedVerdicts{}
	}
	if m.rename() {
		m.touched()
	}
	m.tidy()
	return m
}

// rename gives paths the names that they have today: earlier versions kept the query of the server's URL in them, which may be a
// token, and changes. Of two that have the same name now the later one counts. It tells whether there were any.
func (m *Store) rename() (found bool) {
	for name, p := range m.doc.Paths {
		is := transport.NameOfPath(name)
		if is == name {
			continue
		}
		found = true
		delete(m.doc.Paths, name)
		if other, ok := m.doc.Paths[is]; !ok || other.At < p.At {
			m.doc.Paths[is] = p
		}
	}
	return found
}

// tidy drops what is too old or too much. A stored time in the future is not old: the clock was wrong then, or is now. What was
// stored by a clock that was not set begins to age when it is; a clock that is not set ages nothing.
func (m *Store) tidy() {
	now, unset := m.now().UnixMilli(), m.unset()
	for name, p := range m.doc.Paths {
		if p.Unsynced && !unset {
			p.At, p.Unsynced = now, false
			m.doc.Paths[name] = p
		}
		if !unset && p.At < now-storeAge.Milliseconds() || !sane(p) {
			delete(m.doc.Paths, name)
		}
	}
	for len(m.doc.Paths) > storePaths {
		delete(m.doc.Paths, m.oldest())
	}
	m.tidyVerdicts(now, unset)
}

func (m *Store) oldest() string {
	found := ""
	for name, p := range m.doc.Paths {
		if found == "" || p.At < m.doc.Paths[found].At {
			found = name
		}
	}
	return found
}

// sane reports whether p can be what was written: a file may be anybody's.
func sane(p storedPath) bool {
	return p.ProvenS > 0 && p.ProvenS < storeBeat.Seconds() && p.FailingS >= 0 && p.FailingS < storeBeat.Seconds()
}

// Recall implements transport.Memory.
func (m *Store) Recall(path string) (heartbeat.Knowledge, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tidy()
	p, ok := m.doc.Paths[path]
	if !ok {
		return heartbeat.Knowledge{}, false
	}
	k := heartbeat.Knowledge{Proven: fromSeconds(p.ProvenS), Failing: fromSeconds(p.FailingS),
		At: time.UnixMilli(min(p.At, m.now().UnixMilli()))}
	for _, kind := range []heartbeat.Kind{heartbeat.Strict, heartbeat.Loose} {
		if p.Kind == kind.String() {
			k.Kind = kind
		}
	}
	return k, true
}

// Remember implements transport.Memory.
func (m *Store) Remember(path string, k heartbeat.Knowledge) {
	if len(path) > storeName {
		return
	}
	m.mu.Lock()
	m.doc.Paths[path] = storedPath{ProvenS: k.Proven.Seconds(), FailingS: k.Failing.Seconds(), Kind: k.Kind.String(),
		At: m.now().UnixMilli(), Unsynced: m.unset()}
	m.tidy()
	m.mu.Unlock()
	m.touched()
}

// Budget implements transport.Memory.
func (m *Store) Budget() heartbeat.BudgetState {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.doc.Budget.At == 0 {
		return heartbeat.BudgetState{}
	}
	b, now := m.doc.Budget, m.now()
	if b.Unsynced || m.unset() { // how long it was off is not known: that earns nothing
		return heartbeat.BudgetState{Left: b.Left, At: now}
	}
	return heartbeat.BudgetState{Left: b.Left, At: time.UnixMilli(min(b.At, now.UnixMilli()))}
}

// SaveBudget implements transport.Memory.
func (m *Store) SaveBudget(b heartbeat.BudgetState) {
	m.mu.Lock()
	m.doc.Budget = storedBudget{Left: b.Left, At: b.At.UnixMilli(), Unsynced: m.unset()}
	m.mu.Unlock()
	m.touched()
}

func (m *Store) touched() {
	select {
	case m.dirty <- struct{}{}:
	default:
	}
}

// Why says what is wrong with the file, and for an hour that one was set aside; empty: nothing.
func (m *Store) Why() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fault == "" && m.now().Before(m.asideUntil) {
		return m.aside
	}
	return m.fault
}

// Run writes what changed, at most each storeEvery, and at the end.
func (m *Store) Run(ctx context.Context) error {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return m.last()
		case <-pause.C:
		}
		select {
		case <-ctx.Done():
			return m.last()
		case <-m.dirty:
			m.write()
			pause.Reset(storeEvery)
		}
	}
}

// last writes what the last moment changed.
func (m *Store) last() error {
	select {
	case <-m.dirty:
		m.write()
	default:
	}
	return nil
}

func (m *Store) write() {
	fault, err := "", m.file.Save(&m.mu, &m.doc)
	if err != nil {
		fault = fmt.Sprintf("what was learnt about paths could not be saved: %v", err)
		m.touched() // tried again at the next turn
	}
	m.mu.Lock()
	before := m.fault
	m.fault = fault
	m.mu.Unlock()
	if fault != "" && before != fault {
		m.log.Warn().Err(err).Msg("what was learnt about paths could not be saved")
	}
}

func fromSeconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
