package learn

import (
	"context"
	"time"

	"github.com/linkbeat/linkbeat/transport/netdial"
)

// MainLink is a session of the main link, as the learner sees it: whose silence is learnt about, and which publishes what proves
// something. Two values are equal when they are the same session. All methods may be called from any goroutine, also after the
// session's end, and none but Publish waits for anything.
type MainLink interface {
	Endpoint() *netdial.Endpoint // the server
	Path() netdial.Path          // on which a probe shares its fate
	Keepalive() time.Duration    // what its CONNECT said; no beat is above it
	Planned() bool               // it replaced another session on purpose
	Ended() <-chan struct{}      // closed at its end
	SilentSince() time.Time      // when it last sent something
	HeardSince(t time.Time) bool // whether anything came in since t

	Ping()                       // asks the server for a sign of life
	SetInterval(d time.Duration) // changes the beat, at once
	Redial()                     // asks for another session to the same server, so that CONNECT says what Begin does
	// Rearmed is called after our kernel acknowledged something that came in; ping: and the server wants to hear of us soon.
	Rearmed(ping bool)
	// Publish sends payload with QoS 1, booked as a probe. It waits for a slot in the window.
	Publish(ctx context.Context, topic string, payload []byte) (Acknowledgement, error)
}

// Acknowledgement is the result of a publish: Err is nil after PUBACK, and of no meaning before Done is closed.
type Acknowledgement interface {
	Done() <-chan struct{}
	Err() error
}

// Env is what the learner needs of its link, whatever the session is.
type Env struct {
	Interval  time.Duration    // of a beat that is not learnt
	Keepalive time.Duration    // the ceiling of CONNECT
	AdaptKeep bool             // CONNECT follows the beat
	Secure    bool             // some server wants TLS, so a session may cost more
	Dialer    *netdial.Dialer  // opens probe sessions
	Go        func(func())     // runs what the link waits for at its end
	Rand      func() float64   // [0, 1)
	Foreign   func(why string) // called when others publish to probe topics and learning rests; nil: nobody asks
}
