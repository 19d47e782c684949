package heartbeat

import "time"

// Action is what Step asks the owner to do.
type Action int

const (
	None   Action = iota // nothing is due
	Ping                 // write a PINGREQ now
	GiveUp               // the link is dead: close it
)

// String returns "none", "ping" or "give up".
func (a Action) String() string {
	switch a {
	case Ping:
		return "ping"
	case GiveUp:
		return "give up"
	default:
		return "none"
	}
}

// rideFrom is the part of an interval after which a packet that nothing answers (QoS 0) takes the ping along: the radio is awake
// now, and would have to wake again soon.
const rideFrom = 0.8

const (
	defaultInterval     = 60 * time.Second
	defaultDetectWithin = 60 * time.Second
)

// Options of New.
type Options struct {
	Interval     time.Duration // longest silence of ours on an idle link; if zero or less, 60 s
	DetectWithin time.Duration // from the first unanswered packet to GiveUp; if zero or less, 60 s
	Keepalive    time.Duration // of CONNECT: an MQTT packet goes out at least this often; if zero or less, only Interval counts
}

// Beat is the heartbeat of one link. It is owned by the link's loop and not safe for concurrent use. It serves one session
// after the other: Connected begins one, GiveUp ends it.
type Beat struct {
	interval, detectWithin time.Duration
	keepalive              time.Duration
	pings                  int64

	// of this session
	connected bool
	rtt       rtt
	sent      time.Time // last packet out, acknowledgements of the kernel included, as far as Rearmed reported them
	spoke     time.Time // last MQTT packet out
	since     time.Time // start of the wait for an answer; zero: nothing is unanswered
	unasked   bool      // something went out after the last ping
	ride      bool      // a ping goes out with what was just sent
	owed      int       // acknowledgements that the owner waits for

	// pings without a PINGRESP
	out      int
	pinged   time.Time // the last one
	measured bool      // no repeat yet: its answer is a sample
	lateAt   time.Time
}

// New returns a Beat that waits for Connected.
func New(o Options) *Beat {
	b := &Beat{interval: o.Interval, detectWithin: o.DetectWithin, keepalive: o.Keepalive}
	if b.interval <= 0 {
		b.interval = defaultInterval
	}
	if b.detectWithin <= 0 {
		b.detectWithin = defaultDetectWithin
	}
	b.rtt = newRTT(b.detectWithin)
	return b
}

// Connected begins a session; called after CONNACK. What was known of the round trip belongs to the old path and is
// forgotten, and nothing is owed.
func (b *Beat) Connected(now time.Time) {
	*b = Beat{interval: b.interval, detectWithin: b.detectWithin, keepalive: b.keepalive, pings: b.pings,
		connected: true, rtt: newRTT(b.detectWithin), sent: now, spoke: now}
}

// Sent is called after any packet went out, except the PINGREQ that Step asked for: Step has counted that one already.
func (b *Beat) Sent(now time.Time) {
	b.ride = b.ride || b.owed == 0 && now.Sub(b.sent) >= Share(b.interval, rideFrom)
	b.sent, b.spoke, b.unasked = now, now, true
	if b.since.IsZero() {
		b.since = now
	}
}

// Owed is called after the number of packets changed that the broker must acknowledge (QoS 1 publishes, SUBSCRIBE), and
// before the Heard of the packet that changed it. An owner that never calls it lets any inbound packet answer all but pings.
func (b *Beat) Owed(n int) { b.owed = n }

// Heard is called after any packet other than PINGRESP came in. It never re-arms the beat.
func (b *Beat) Heard(now time.Time) {
	b.unasked = b.unasked && b.owed > 0
	b.answered(now)
}

// PongHeard is called after a PINGRESP came in, instead of Heard. One that no ping asked for counts as Heard.
func (b *Beat) PongHeard(now time.Time) {
	if b.out == 0 {
		b.Heard(now)
		return
	}
	if b.out--; b.measured {
		b.rtt.sample(now.Sub(b.pinged))
		b.measured = false
	}
	b.answered(now)
}

// answered restarts the wait for what is still unanswered, or ends it.
func (b *Beat) answered(now time.Time) {
	b.lateAt = now.Add(b.rtt.timeout)
	if b.since = (time.Time{}); b.out > 0 || b.unasked {
		b.since = now
	}
}

// Wake returns when Step must be called next, at the latest; the zero time before Connected and after GiveUp: not at all.
func (b *Beat) Wake() time.Time {
	if !b.connected {
		return time.Time{}
	}
	ping := b.pingAt()
	if b.since.IsZero() {
		return ping
	}
	return earlier(ping, b.since.Add(b.detectWithin))
}

// pingAt returns when the next ping is due. While one is unanswered, only its lateness brings another: a whole timeout of
// silence, or, as other packets keep coming and the mapping still wants our own, an interval.
func (b *Beat) pingAt() time.Time {
	if b.out > 0 {
		silent := Later(b.pinged, b.since).Add(b.rtt.timeout)
		return earlier(silent, b.pinged.Add(max(b.interval, b.rtt.timeout)))
	}
	if b.ride {
		return b.sent
	}
	beat := b.sent.Add(b.interval)
	if b.keepalive > 0 {
		beat = earlier(beat, b.spoke.Add(b.keepalive))
	}
	if b.since.IsZero() {
		return beat
	}
	return earlier(beat, b.since.Add(b.rtt.timeout))
}

// Due reports that a plain beat is due, on a link that is idle: nothing is unanswered.
func (b *Beat) Due(now time.Time) bool {
	return b.connected && b.since.IsZero() && b.out == 0 && !now.Before(b.pingAt())
}

// Step returns what is due. The owner carries it out at once; a Ping counts as sent by this call, also while the write of
// it is stuck. After GiveUp the Beat rests until Connected.
func (b *Beat) Step(now time.Time) Action {
	switch {
	case !b.connected:
		return None
	case !b.since.IsZero() && !now.Before(b.since.Add(b.detectWithin)):
		b.connected = false
		return GiveUp
	case now.Before(b.pingAt()):
		return None
	}
	b.ping(now)
	return Ping
}

func (b *Beat) ping(now time.Time) {
	if b.out == 0 {
		b.measured, b.lateAt = true, now.Add(b.rtt.timeout)
	} else {
		b.measured = false
		b.rtt.backOff()
	}
	b.out++
	b.pings++
	b.sent, b.spoke, b.pinged, b.unasked, b.ride = now, now, now, false, false
	if b.since.IsZero() {
		b.since = now
	}
}

// Rearmed is called after our kernel is known to have sent something, though we wrote nothing: it acknowledged what came in. The
// mapping was refreshed; the server's keepalive was not.
func (b *Beat) Rearmed(now time.Time) { b.sent = Later(b.sent, now) }

// Silent returns since when nothing of ours went out.
func (b *Beat) Silent() time.Time { return b.sent }

// Late reports whether a ping is unanswered for longer than the measured round trip explains.
func (b *Beat) Late(now time.Time) bool {
	return b.connected && b.out > 0 && !now.Before(b.lateAt)
}

// SetInterval changes the interval; it counts from the last packet out, so a shorter one may be due at once. Zero or less
// changes nothing.
func (b *Beat) SetInterval(d time.Duration) {
	if d > 0 {
		b.interval = d
	}
}

// Interval returns the interval in force.
func (b *Beat) Interval() time.Duration { return b.interval }

// SRTT returns the smoothed round trip of this session's pings; 0 before the first.
func (b *Beat) SRTT() time.Duration { return b.rtt.srtt }

// Pings returns how many pings Step has asked for since New.
func (b *Beat) Pings() int64 { return b.pings }

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// Later is the later of two times.
func Later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
