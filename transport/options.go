package transport

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"github.com/linkbeat/linkbeat/transport/backoff"
	"github.com/linkbeat/linkbeat/transport/heartbeat"
	"github.com/linkbeat/linkbeat/transport/internal/terms"
	"github.com/linkbeat/linkbeat/transport/netdial"
)

// Message is one MQTT publish. QoS is 0 or 1. Cause is for the ledger only; if zero, it is data.
type Message struct {
	Topic   string
	Payload []byte // not changed by the link, and must not be changed before the Ack is done
	QoS     byte
	Retain  bool
	Dup     bool // of one that arrived: the server had sent it before, and it may have come then [MQTT-3.3.1-1]
	Cause   Cause
	Size    int // of one that arrived: bytes of its packet, and of our acknowledgement

	use use
}

// use is what becomes of a message of ours when the server does not acknowledge it.
type use byte

const (
	useCaller use = iota // its sender sends it again, on the next session
	useState             // each session has its own
	useOnce              // nobody sends it again
)

// Handler is called for each message that arrives, one after the other, on the goroutine that reads the connection: it
// hands over to something bounded and never blocks, or heartbeats starve behind it. The payload is the handler's own copy.
// Retained says that the server had stored the message before we subscribed.
type Handler func(m Message, retained bool)

// Session names one connection that was, or is about to be, accepted by a server.
type Session struct {
	Number int64     // 1 for the first of this Link
	Server string    // the name of its URL: without a login and a query
	Since  time.Time // when it was dialled
}

// Options of New. ClientID and one Server are required.
type Options struct {
	ClientID     string
	Servers      []Server // in order of preference
	CleanSession bool
	Window       int           // publishes in flight; if zero, 32
	MaxPacket    int           // bytes of one MQTT packet, either way; if zero, 256 KiB
	DetectWithin time.Duration // with anything outstanding, a dead link is noticed within this; if zero, 60 s
	Interval     time.Duration // an idle link beats this often; if zero, 60 s; never above Keepalive
	Keepalive    time.Duration // the CONNECT value; if zero, 1170 s; whole seconds, 1 s to 65535 s
	AdaptKeep    bool          // Keepalive is only the ceiling: what CONNECT says follows the beat (package learn)
	MaxSession   time.Duration // a session is replaced by another one to the same server after this long, ± 10 %; if zero, never
	Backoff      backoff.Limits
	Learning     Learning

	ReportEvery int                    // each so many beats Report is published instead of a ping; if zero, never
	Report      func() (Message, bool) // false: nothing to say, a ping will do; it must not block

	Retain  RetainMode   // whether the retain flag is set where a message has it, and on the will
	Refused ServerMemory // of what servers do not take; nil: nothing is kept

	StateTopic string                              // if empty: no birth, no will
	State      func(online bool, s Session) []byte // birth and will payloads; called from the link's goroutines

	Floor time.Time // a clock before it is taken for it when certificates are checked; zero: never
	// that connections may leave by, in order of preference; empty: the kernel's choice
	Interfaces []string
	Proxy      func(URL) (*Proxy, error) // the way to a server; nil, or a nil Proxy: straight

	Dial   func(ctx context.Context, network, addr string) (net.Conn, error) // nil: real TCP with our socket options
	Notify func(Event)                                                       // one call per change; must not block; may be nil
	Rand   func() float64                                                    // [0, 1); nil: math/rand
}

// RetainMode says whether messages are retained.
type RetainMode int

// The modes.
const (
	RetainAuto RetainMode = iota // unless the server ends sessions because of it
	RetainOn
	RetainOff
)

// terms are what a session asks for, and what of it may be given up where a server does not take it.
func (o Options) terms() (wants, doubt terms.Set) {
	if o.StateTopic == "" { // which publishes nothing of its own
		return terms.Retain, 0
	}
	wants = terms.Retain | terms.WillRetain | terms.Will
	switch doubt = wants; o.Retain {
	case RetainOn:
		doubt &^= terms.Retain | terms.WillRetain
	case RetainOff:
		wants &^= terms.Retain | terms.WillRetain
	}
	if o.AdaptKeep && o.Keepalive > heartbeat.LeastKeepalive {
		wants, doubt = wants|terms.Keep|terms.LongKeep, doubt|terms.Keep|terms.LongKeep
	}
	return wants, doubt & wants
}

const (
	defaultWindow    = 32
	defaultMaxPacket = 256 << 10
	defaultInterval  = 60 * time.Second
	defaultKeepalive = 1170 * time.Second
	maxKeepalive     = 65535 * time.Second // [MQTT-3.1.2-24]: 16 bits of seconds
	minMaxPacket     = 1 << 10             // below this not even our own CONNECT is sure to fit
	maxMaxPacket     = 256 << 20           // what MQTT's length field can say
)

func (o Options) withDefaults() Options {
	def(&o.Window, defaultWindow)
	def(&o.MaxPacket, defaultMaxPacket)
	def(&o.DetectWithin, netdial.DefaultDetectWithin)
	def(&o.Interval, defaultInterval)
	def(&o.Keepalive, defaultKeepalive)
	def(&o.Backoff.Min, time.Second)
	def(&o.Backoff.Max, 2*time.Minute)
	def(&o.Backoff.Refused, 15*time.Minute)
	o.Keepalive = min(max(o.Keepalive.Truncate(time.Second), time.Second), maxKeepalive)
	o.Interval = min(o.Interval, o.Keepalive)
	o.Learning = o.Learning.WithDefaults(o.ClientID)
	o.Backoff.Max = max(o.Backoff.Max, o.Backoff.Min)
	if o.Notify == nil {
		o.Notify = func(Event) {}
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	return o
}

// def puts the default d in place of a value that is not positive.
func def[T int | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

func (o Options) validate() error {
	var errs []error
	if o.ClientID == "" {
		errs = append(errs, errors.New("client id is empty: name one"))
	}
	if len(o.Servers) == 0 {
		errs = append(errs, errors.New("no server: name at least one"))
	}
	if o.MaxPacket < minMaxPacket || o.MaxPacket > maxMaxPacket {
		errs = append(errs, fmt.Errorf("max packet of %d bytes is not within %d to %d", o.MaxPacket, minMaxPacket, maxMaxPacket))
	}
	if o.StateTopic != "" && o.State == nil {
		errs = append(errs, fmt.Errorf("state topic %q needs a State function", o.StateTopic))
	}
	if o.Learning.Mode != heartbeat.Off && o.Learning.Topic == nil {
		errs = append(errs, errors.New("learning needs a topic for its probes"))
	}
	return errors.Join(errs...)
}
