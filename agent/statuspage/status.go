// Package statuspage tells the truth about one gateway, locally: the status document, its Prometheus form, the two health
// checks, and a reader of it for people. It decides nothing; the agent hands it a func that says how things are.
package statuspage

import "cmp"

// MaxText bounds each string of a status, in bytes.
const MaxText = 4 << 10

// Status is the document under GET /status. Times are Unix milliseconds, *_s are seconds. Counters count from the start of
// the process.
type Status struct {
	ID        string `json:"id"`
	Version   string `json:"version"`
	Epoch     string `json:"epoch"`   // of the spool
	StartedAt int64  `json:"started"` // of the process
	Config    string `json:"config"`  // file, lastgood or salvage: which document runs

	Uplink    Uplink            `json:"uplink"`
	Heartbeat Heartbeat         `json:"heartbeat"`
	Bytes     Bytes             `json:"bytes"`
	Month     Month             `json:"month"`
	Spool     Spool             `json:"spool"`   // of the devices' frames
	High      Spool             `json:"high"`    // the spool of devices with priority high
	Replies   Spool             `json:"replies"` // the spool of answers to commands
	Serial    map[string]Serial `json:"serial"`
	Commands  Commands          `json:"commands"`

	Quarantine Quarantine `json:"quarantine"`
	// ACL says for each class of topics that the gateway publishes to whether the server delivers them: the worst of ok, unknown
	// and denied. Absent until it was tried.
	ACL map[string]string `json:"acl,omitempty"`

	Facts map[string]string `json:"facts,omitempty"` // by name: what the commands of device.facts printed

	// Why is one sentence when anything is not as it should be, and empty otherwise.
	Why string `json:"why"`
	// Minor says that what Why names can wait, and nothing is lost by it.
	Minor bool `json:"minor,omitempty"`
}

// Uplink is the state of the link.
type Uplink struct {
	State        string  `json:"state"`  // down, dialing or up
	Server       string  `json:"server"` // the name of its URL: without a login and a query
	Since        int64   `json:"since"`  // of this state
	Session      int64   `json:"session"`
	Drops        int64   `json:"drops"`       // connections lost
	Redials      int64   `json:"redials"`     // connections replaced on purpose
	RTTS         float64 `json:"rtt_s"`       // smoothed round trip of the pings
	KeepaliveS   float64 `json:"keepalive_s"` // what CONNECT said; the server notices a dead gateway within 1.5 times this
	WorstDetectS float64 `json:"worst_detect_s"`
	InFlight     int     `json:"in_flight"`
	Oversized    int64   `json:"oversized"` // messages larger than max_payload allows that came and were dropped

	// Publishes (and subscriptions) that the server did not acknowledge in time, while it acknowledged later ones.
	Unacknowledged int64 `json:"unacknowledged"`

	MaxPayload int `json:"max_payload,omitempty"` // bytes, about: where the server takes less than uplink.max_payload; 0: all

	Interface     string           `json:"interface"`        // that the session leaves by
	Losses        map[string]int64 `json:"losses,omitempty"` // the drops by how they were noticed
	CertExpires   int64            `json:"cert_expires"`     // of the server; 0: none, or not seen yet
	OwnCertEnds   int64            `json:"own_cert_expires"`
	ThroughputBps int64            `json:"throughput_bytes_s"` // that the path was seen to carry; 0: not known
}

// Heartbeat is the state of the beat and of what it has learnt.
type Heartbeat struct {
	IntervalS float64 `json:"interval_s"`
	ProvenS   float64 `json:"proven_s"`
	FailingS  float64 `json:"failing_s"` // 0: none
	Phase     string  `json:"phase"`     // start, learning, settled, off or resting
	Path      string  `json:"path"`
	PathKind  string  `json:"path_kind"` // strict, loose or unknown
	Evidence  string  `json:"evidence"`  // inbound, weak or none
	Reason    string  `json:"reason"`    // of the last change
	Pings     int64   `json:"pings"`

	RememberedS float64 `json:"remembered_s"` // what an earlier connection on this path had proven; a hint only
	Probes      int64   `json:"probes"`       // silences tested
	Sessions    int64   `json:"sessions"`     // probe sessions opened
	Open        int     `json:"open"`         // probe sessions now
	Canaries    int64   `json:"canaries"`
	Shrinks     int64   `json:"shrinks"`      // times that a proven silence failed
	CostBytes   int64   `json:"cost_bytes"`   // of probe sessions on the wire, headers included
	BudgetBytes int64   `json:"budget_bytes"` // that they may still cost now
}

// Bytes is the ledger: bytes on the wire, both ways, by cause.
type Bytes struct {
	Handshake int64 `json:"handshake"`
	Ping      int64 `json:"ping"`
	Keepalive int64 `json:"keepalive"`
	Data      int64 `json:"data"`
	Cmd       int64 `json:"cmd"`
	Refused   int64 `json:"refused,omitempty"` // commands and other messages that were not taken, and the answers to them
	Log       int64 `json:"log"`
	Config    int64 `json:"config"`
	Probe     int64 `json:"probe"`
	Overhead  int64 `json:"overhead"`
	Headers   int64 `json:"headers"` // of IP and TCP, with acknowledgements and what was sent again
}

// cause is one of the numbers of Bytes.
type cause struct {
	name  string // in the metrics, and in JSON
	bytes *int64
}

func (b *Bytes) causes() [11]cause {
	return [...]cause{{"handshake", &b.Handshake}, {"ping", &b.Ping}, {"keepalive", &b.Keepalive}, {"data", &b.Data},
		{"cmd", &b.Cmd}, {"refused", &b.Refused}, {"log", &b.Log}, {"config", &b.Config}, {"probe", &b.Probe},
		{"overhead", &b.Overhead}, {"headers", &b.Headers}}
}

// Sum is the bytes on the wire: what a data plan counts.
func (b Bytes) Sum() (n int64) {
	for _, c := range b.causes() {
		n += *c.bytes
	}
	return n
}

// Sound is false for what no counter can have said: less than nothing, or more than a century at a gigabit a second.
func (b Bytes) Sound() bool {
	for _, c := range b.causes() {
		if *c.bytes < 0 || *c.bytes > 1<<58 {
			return false
		}
	}
	return true
}

// Plus is b and more.
func (b Bytes) Plus(more Bytes) Bytes { return b.with(more, 1) }

// Minus is b without less.
func (b Bytes) Minus(less Bytes) Bytes { return b.with(less, -1) }

func (b Bytes) with(o Bytes, sign int64) Bytes {
	sum := b.causes()
	for i, c := range o.causes() {
		*sum[i].bytes += sign * *c.bytes
	}
	return b
}

// Month is what the data plan has paid for since the day on which the month of the budget began, over
// restarts; days are those of UTC.
type Month struct {
	Since      string           `json:"since"` // 2026-11-01
	Bytes      int64            `json:"bytes"`
	Budget     int64            `json:"budget"`            // 0: none
	Refused    int64            `json:"refused,omitempty"` // of Bytes: refused messages, headers too; with a budget
	Interfaces map[string]Bytes `json:"interfaces,omitempty"`
	Today      map[string]Bytes `json:"today,omitempty"` // by interface
}

// Quarantine counts what could not be published and was set aside in the state directory.
type Quarantine struct {
	Records int64 `json:"records"` // since the start
	Bytes   int64 `json:"bytes"`   // in the files now
	Lost    int64 `json:"lost"`    // of Records, what could not be kept there either
}

// Spool counts records. Accepted + Recovered = Acked + Waiting + Evicted + Poison, always.
type Spool struct {
	Accepted     int64   `json:"accepted"`
	Recovered    int64   `json:"recovered"` // found on disk at the start
	Acked        int64   `json:"acked"`
	Waiting      int64   `json:"waiting"`
	Evicted      int64   `json:"evicted"` // dropped: full, too old, or rotten
	Poison       int64   `json:"poison"`  // could never be published
	Bytes        int64   `json:"bytes"`   // waiting
	OldestS      float64 `json:"oldest_s"`
	WrittenBytes int64   `json:"written_bytes"` // to the flash
	Why          string  `json:"why,omitempty"`
}

// Serial is one device. Read = InFrames + Delimiters + Bad + Pending in bytes; Framed = Accepted + Refused in frames.
type Serial struct {
	Port       string `json:"port"`
	State      string `json:"state"` // open, absent, error, or disabled by a fault of its configuration
	Since      int64  `json:"since"`
	Read       int64  `json:"read"`
	InFrames   int64  `json:"in_frames"`
	Delimiters int64  `json:"delimiters"`
	Bad        int64  `json:"bad"`
	BadFrames  int64  `json:"bad_frames"` // stretches of bad bytes, such as sentences with a wrong checksum
	Pending    int64  `json:"pending"`
	Framed     int64  `json:"framed"`
	Accepted   int64  `json:"accepted"`
	Refused    int64  `json:"refused"`
	Written    int64  `json:"written"`  // bytes, by commands
	NotUTF8    int64  `json:"not_utf8"` // text frames that travelled as base64
	Opens      int64  `json:"opens"`
	Console    bool   `json:"console,omitempty"` // a remote console has it: commands are answered busy, a bus is not polled
	Why        string `json:"why,omitempty"`

	Units      map[string]Unit `json:"units,omitempty"`       // of a Modbus bus, by name
	IdleWaitS  float64         `json:"idle_wait_s,omitempty"` // the longest that a command waited there while the bus was idle
	LineErrors *LineErrors     `json:"line_errors,omitempty"` // nil: the driver counts none
}

// LineErrors are errors on the line of a serial device, as its driver or serial server counts them.
type LineErrors struct {
	Framing int64 `json:"framing"`
	Overrun int64 `json:"overrun"`
	Parity  int64 `json:"parity"`
	Break   int64 `json:"break"`
	Buffer  int64 `json:"buffer"` // overruns of the buffer of the kernel
}

func (e *LineErrors) kinds() [5]*int64 {
	return [...]*int64{&e.Framing, &e.Overrun, &e.Parity, &e.Break, &e.Buffer}
}

// Sum is all of them; 0 of a driver that counts none.
func (e *LineErrors) Sum() (n int64) {
	if e == nil {
		return 0
	}
	for _, kind := range e.kinds() {
		n += *kind
	}
	return n
}

// Plus is what two have counted; neither changes.
func (e *LineErrors) Plus(more *LineErrors) *LineErrors {
	if e == nil || more == nil {
		return cmp.Or(e, more)
	}
	both := *e
	sum := both.kinds()
	for i, kind := range more.kinds() {
		*sum[i] += *kind
	}
	return &both
}

// Unit is one slave on a Modbus bus. It counts from the start of its bus under this configuration.
type Unit struct {
	State      string `json:"state"` // live, dead or unknown
	Since      int64  `json:"since"`
	Polls      int64  `json:"polls"`
	Timeouts   int64  `json:"timeouts"`
	BadAnswers int64  `json:"bad_answers"`
	Exceptions int64  `json:"exceptions"`
	Why        string `json:"why,omitempty"`
}

// Commands counts what came down. Received = Done + Failed + Refused + Running + Overflowed. Of Refused and Overflowed so many as
// Unanswered says got no answer.
type Commands struct {
	Received   int64 `json:"received"`
	Done       int64 `json:"done"`
	Failed     int64 `json:"failed"`               // reached the device's queue and failed there
	Refused    int64 `json:"refused"`              // nothing written; answered with an error, the first of them
	Running    int64 `json:"running"`              // in a device's queue, or on the way to it
	Overflowed int64 `json:"overflowed"`           // too large, or more at once than could be taken, and not answered
	Unanswered int64 `json:"unanswered,omitempty"` // refused without an answer: too many, or no id
}
