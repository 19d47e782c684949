package pathstore

import (
	"slices"
	"time"

	"github.com/linkbeat/linkbeat/transport"
)

const (
	storeServers = 64 // the oldest make room
	storeWords   = 8  // of one
	storeWord    = 32 // bytes
)

var _ transport.ServerMemory = (*Store)(nil)

// storedServer is what a server does not take.
type storedServer struct {
	Without  []string `json:"without"`
	At       int64    `json:"at"`
	Unsynced bool     `json:"unsynced,omitempty"` // at is of a clock that was not believed
}

// sane reports whether s can be what was written.
func (s storedServer) sane() bool {
	long := func(word string) bool { return len(word) > storeWord }
	return len(s.Without) > 0 && len(s.Without) <= storeWords && !slices.ContainsFunc(s.Without, long)
}

// Refused implements transport.ServerMemory. What was stored by a clock that was not believed, or is asked for by one, counts as
// of now: it is asked again a day after the start.
func (m *Store) Refused(server string) (what []string, again time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.doc.Servers[server]
	if !ok || !s.sane() {
		return nil, 0
	}
	passed := time.Duration(0)
	if !s.Unsynced && !m.unset() {
		passed = time.Duration(min(max(m.now().UnixMilli()-s.At, 0), transport.AskAgain.Milliseconds())) * time.Millisecond
	}
	return slices.Clone(s.Without), transport.AskAgain - passed
}

// SaveRefused implements transport.ServerMemory.
func (m *Store) SaveRefused(server string, what []string) {
	s := storedServer{Without: slices.Clone(what), At: m.now().UnixMilli(), Unsynced: m.unset()}
	if len(server) > storeName || len(what) > 0 && !s.sane() {
		return
	}
	m.mu.Lock()
	if m.doc.Servers == nil {
		m.doc.Servers = map[string]storedServer{}
	}
	delete(m.doc.Servers, server)
	for len(m.doc.Servers) >= storeServers {
		oldest := ""
		for name, other := range m.doc.Servers {
			if oldest == "" || other.At < m.doc.Servers[oldest].At {
				oldest = name
			}
		}
		delete(m.doc.Servers, oldest)
	}
	if len(what) > 0 {
		m.doc.Servers[server] = s
	}
	m.mu.Unlock()
	m.touched()
}
