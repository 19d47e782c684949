package pathstore

import (
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	verdictLogins = 8        // the oldest make room
	verdictBytes  = 64 << 10 // of all topics and verdicts together, and verdictRoom for each: what is more is asked again
	verdictRoom   = 16
)

// storedVerdicts are what a server does with the topics of one login.
type storedVerdicts struct {
	At       int64             `json:"at"`
	Unsynced bool              `json:"unsynced,omitempty"` // at is of a clock that was not set
	Topics   map[string]string `json:"topics"`
}

func (v storedVerdicts) size() (n int) {
	for topic, verdict := range v.Topics {
		n += len(topic) + len(verdict) + verdictRoom
	}
	return n
}

// Verdicts returns what is known of the topics of a login at a server, and since when; nil: nothing is.
func (m *Store) Verdicts(login string) (all map[string]string, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tidy()
	v, ok := m.doc.Verdicts[login]
	if !ok {
		return nil, time.Time{}
	}
	return maps.Clone(v.Topics), time.UnixMilli(min(v.At, m.now().UnixMilli()))
}

// KeepVerdicts keeps all of what is known of the topics of a login at a server, as far as there is room.
func (m *Store) KeepVerdicts(login string, all map[string]string) {
	if len(login) > storeName {
		return
	}
	kept := storedVerdicts{At: m.now().UnixMilli(), Unsynced: m.unset(), Topics: map[string]string{}}
	room := verdictBytes
	keys := make([]string, 0, len(all))
	for topic, verdict := range all {
		keys = append(keys, verdict+" "+topic) // what is denied first
	}
	slices.Sort(keys)
	for _, key := range keys {
		verdict, topic, _ := strings.Cut(key, " ")
		if n := len(topic) + len(verdict) + verdictRoom; n <= room && len(topic) <= storeName {
			room -= n
			kept.Topics[topic] = verdict
		}
	}
	m.mu.Lock()
	m.doc.Verdicts[login] = kept
	m.tidy()
	m.mu.Unlock()
	m.touched()
}

// tidyVerdicts is tidy for verdicts; mu is held. The clock is treated as for paths.
func (m *Store) tidyVerdicts(now int64, unset bool) {
	sum := 0
	for login, v := range m.doc.Verdicts {
		if v.Unsynced && !unset {
			v.At, v.Unsynced = now, false
			m.doc.Verdicts[login] = v
		}
		if !unset && v.At < now-storeAge.Milliseconds() || len(login) > storeName {
			delete(m.doc.Verdicts, login)
			continue
		}
		sum += v.size()
	}
	for len(m.doc.Verdicts) > verdictLogins || sum > verdictBytes {
		oldest, at := "", int64(0)
		for login, v := range m.doc.Verdicts {
			if oldest == "" || v.At < at {
				oldest, at = login, v.At
			}
		}
		sum -= m.doc.Verdicts[oldest].size()
		delete(m.doc.Verdicts, oldest)
	}
}
