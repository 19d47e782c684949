package learn

import (
	"sync"

	"github.com/linkbeat/linkbeat/transport/codec"
)

const (
	noncesKept = 32 // more than are under way, with twelve probe sessions
	nonceAgain = 4  // arrivals of one, more than bridges or routes make: else whoever heard it could replay it for ever
)

// nonces are the last payloads that we published to probe topics ourselves. One that comes twice, or late and to the next session
// of its topic, proves nothing, and is nothing of a stranger's. Safe for concurrent use; the zero value is empty.
type nonces struct {
	mu   sync.Mutex
	last [noncesKept]said
	next int
}

type said struct {
	payload string
	came    int // unexpected
}

// fresh makes one.
func (n *nonces) fresh() []byte {
	nonce := codec.Nonce()
	n.remember(nonce)
	return nonce
}

// remember is called before payload is published.
func (n *nonces) remember(payload []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.last[n.next] = said{payload: string(payload)}
	n.next = (n.next + 1) % noncesKept
}

// ours is called with what nobody waits for, and reports whether we published it.
func (n *nonces) ours(payload []byte) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range n.last {
		if s := &n.last[i]; s.payload != "" && s.payload == string(payload) {
			s.came++
			return s.came <= nonceAgain
		}
	}
	return false
}

// Said is called before something else of ours is published to PairTopic: heard there, it is nothing of a stranger's.
func (le *Learner) Said(payload []byte) { le.nonces.remember(payload) }
