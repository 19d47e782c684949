package transport

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// The values of Status.State.
const (
	StateDown    = "down"    // waiting before the next attempt, or stopped
	StateDialing = "dialing" // from the first packet of an attempt until subscriptions are answered
	StateUp      = "up"
)

// EventKind is the kind of a change that Notify is called with.
type EventKind string

// The kinds of events.
const (
	EventUp   EventKind = "up"   // a session is up
	EventDown EventKind = "down" // a session that was up is lost
	// an attempt failed, for another reason than the last one at this server
	EventDialFailed       EventKind = "dial_failed"
	EventRefused          EventKind = "refused"           // credentials, certificate, not authorised
	EventLate             EventKind = "late"              // an answer is late; asked again and checked
	EventTakeover         EventKind = "takeover"          // another client uses our id
	EventKicked           EventKind = "kicked"            // the server closes one session after the other
	EventSubscribeRefused EventKind = "subscribe_refused" // Why names the filter
	EventAnnounced        EventKind = "announced"         // our state was overwritten, and announced again
	EventLeftOut          EventKind = "left_out"          // what a server does not take is asked for no more, or again
	EventNetWatchFailed   EventKind = "netwatch_failed"   // changes of interfaces and routes are noticed late
	EventOversized        EventKind = "oversized"         // a message beyond MaxPacket came, and was dropped
	EventForeign          EventKind = "foreign"           // others publish to our probe topics: learning rests
	EventUnacknowledged   EventKind = "unacknowledged"    // the server does not acknowledge some publishes
	EventAcknowledged     EventKind = "acknowledged"      // it acknowledges all of them again
)

// Event is one change of a Link.
type Event struct {
	Kind    EventKind
	At      time.Time
	Server  string // the name of its URL: without a login and a query
	Why     string
	Session int64 // 0 before the first
}

// Status is one consistent look at a Link.
type Status struct {
	State  string    // StateDown, StateDialing, StateUp
	Server string    // the name of a URL, without a login and a query: of the session, the attempt or the next attempt
	Since  time.Time // when State became what it is

	Expiry    Expiry // of certificates of this session
	Interface string // that the session leaves by; "": down, or not known

	Sessions    int64          // that were up, since New
	Drops       int64          // of those, lost without our doing
	Losses      map[Loss]int64 // the drops by how they were noticed
	Redials     int64          // planned re-dials; none of these is a drop
	Pings       int64
	Interval    time.Duration // of the beat
	WorstDetect time.Duration // longest time from the first unanswered byte until a session was given up
	Keepalive   time.Duration // the CONNECT value of this session: a dead gateway is noticed by the server within 1.5 times this
	Throughput  int64         // bytes a second that the path was seen to carry, as the kernel estimates it; 0: not known
	RTT         time.Duration // smoothed; 0 until a ping of this session was answered
	Window      int
	InFlight    int // publishes sent and not acknowledged, without those that the window slid past
	Heartbeat   HeartbeatStatus
	Bytes       Ledger
	Denied      []string // filters whose subscription the server refused in this session
	Refused     int64    // subscriptions refused, since New
	Oversized   int64    // messages beyond MaxPacket that came and were dropped, since New
	// publishes, and subscriptions, that the server did not acknowledge while it acknowledged later ones, since New
	Unacknowledged int64
	Ignored        int64  // acknowledgements of nothing that we sent, since New
	Why            string // one sentence when anything is not as it should be, else empty
	LeftOut        string // what the server does not take, in a sentence, which is the end of Why; empty: it takes all
}

// troubles are the reasons of Why, the gravest first.
type troubles struct {
	takeover   string
	down       string
	late       string
	missing    string
	denied     []string
	interfaces string
	learning   string
	terms      string
	server     string    // that accepted us last
	refused    []refusal // by server, until it accepts us; replaced, never changed, as Status copies it
}

// refusal is what a server said when it refused us.
type refusal struct {
	server, why string
	since       time.Time
}

// refusedBy is called after a server refused us. The same refusal keeps its first time.
func (t *troubles) refusedBy(server, why string, now time.Time) {
	was := slices.IndexFunc(t.refused, func(r refusal) bool { return r.server == server && r.why == why })
	if was >= 0 {
		return // since then
	}
	t.refused = append(t.without(server), refusal{server, why, now})
}

// accepted is called after a server took us.
func (t *troubles) accepted(server string) { t.server, t.refused = server, t.without(server) }

func (t *troubles) without(server string) []refusal {
	return slices.DeleteFunc(slices.Clone(t.refused), func(r refusal) bool { return r.server == server })
}

func (t troubles) sentence() string {
	var all []string
	for _, s := range []string{t.down, t.takeover, t.late, t.missing} {
		if s != "" {
			all = append(all, s)
		}
	}
	for _, r := range t.refused {
		if strings.HasPrefix(t.down, r.why) {
			continue // said already
		}
		all = append(all, fmt.Sprintf("%s (since %s)", r.why, r.since.UTC().Format(time.DateTime)))
	}
	if len(t.refused) > 0 && t.down == "" {
		all = append(all, "on "+t.server)
	}
	if len(t.denied) > 0 {
		all = append(all, fmt.Sprintf("server refused the subscription to %s: allow it in the access rules",
			strings.Join(t.denied, ", ")))
	}
	for _, s := range []string{t.interfaces, t.learning, t.terms} {
		if s != "" {
			all = append(all, s)
		}
	}
	return strings.Join(all, "; ")
}
