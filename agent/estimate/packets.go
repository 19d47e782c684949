package estimate

import (
	"math"
	"strings"

	"github.com/linkbeat/linkbeat/agent/wire"
	"github.com/linkbeat/linkbeat/config"
)

// Packets of MQTT that have one size, in bytes: fixed header, and a packet id where they have one.
const (
	connack, puback   = 4, 4
	pingreq, pingresp = 2, 2
	password          = 24 // of a login; what it is stays in its file
)

// What we cannot take from a document, in bytes of payload.
const (
	statsBytes  = 1600 // the status document
	statsDevice = 260  // and of each serial device in it
	factBytes   = 60   // what one fact says
	nonceBytes  = 16
	logLines    = 1024 // lines of the log in a publish
	requestText = 20   // what a command writes
	latestSeq   = 100_000
	someTime    = 1795208591123
)

// publish is the size of a PUBLISH [MQTT-3.3].
func publish(topic string, payload, qos int) int {
	rest := 2 + len(topic) + payload
	if qos > 0 {
		rest += 2
	}
	return packet(rest)
}

// packet is the size of a packet whose remaining length is rest [MQTT-2.2.3].
func packet(rest int) int {
	size := 2 + rest
	for n := rest >> 7; n > 0; n >>= 7 {
		size++
	}
	return size
}

// packets sizes what a document makes a gateway say.
type packets struct {
	d      *config.Document
	topics wire.Topics // with the id
}

// idOf is the id, or one as long as it is likely to be.
func idOf(d *config.Document) string {
	return strings.NewReplacer("{hostname}", "gateway-17", "{mac6}", "0a1b2c").Replace(d.Device.ID)
}

// session is what goes over the wire at the beginning of a session of the main link.
func (p packets) session() []int {
	s := p.d.Uplink.With(p.d.Uplink.Servers[0])
	birth := wire.State{Online: true, Session: 1000, Epoch: "3f2a9c1e", Since: someTime, Version: "v1.0.0",
		Server: s.URL.Name()}.Append(nil)
	will := len(p.topics.State) + len(birth) + 1 // "online":false
	said := publish(p.topics.State, len(birth), 1)
	subscribe, filters := p.subscribe(p.topics.State, wire.Filter(p.topics.Cmd)+wire.WriteSuffix,
		wire.Filter(p.topics.Cmd)+wire.RequestSuffix, wire.Filter(p.topics.Cmd)+wire.ConsoleSuffix)
	return []int{p.connect(s, 4+will), connack, subscribe, packet(2 + filters),
		said, puback, // it comes back, and before that what was retained
		said, puback, said, puback}
}

// connect is a CONNECT [MQTT-3.1]; more is that of a will.
func (p packets) connect(s config.Server, more int) int {
	rest := 10 + 2 + len(idOf(p.d)) + more
	if s.Username != "" {
		rest += 2 + len(s.Username)
	}
	if s.PasswordFile != "" || !s.Password.IsZero() {
		rest += 2 + password
	}
	return packet(rest)
}

func (p packets) subscribe(filters ...string) (size, n int) {
	rest := 2
	for _, f := range filters {
		rest += 2 + len(f) + 1
	}
	return packet(rest), len(filters)
}

// probeSession is what goes over the wire at the beginning of a probe session, which hears itself once; nonce is one test.
func (p packets) probeSession() []int {
	topic := wire.Expand(p.topics.Probe, "n", "1")
	subscribe, n := p.subscribe(topic)
	echo := publish(topic, nonceBytes, 0)
	return []int{p.connect(p.d.Uplink.With(p.d.Uplink.Servers[0]), len("-p1")), connack, subscribe, packet(2 + n), echo, echo}
}

func (p packets) nonce() []int {
	topic := wire.Expand(p.topics.Probe, "n", "1")
	return []int{publish(topic, nonceBytes, 1), puback, publish(topic, nonceBytes, 0), pingreq, pingresp}
}

func (p packets) info() int {
	i := wire.Info{IntervalS: 120.5, ProvenS: 125.5, Path: "wwan0 via 10.64.64.64 " + p.d.Uplink.Servers[0].URL.Name(),
		Ports: map[string]wire.Port{}}
	for name, s := range p.d.Serial {
		i.Ports[name] = wire.Port{Port: s.Where(), State: "open"}
	}
	for name := range p.d.Device.Facts {
		if i.Facts == nil {
			i.Facts = map[string]string{}
		}
		i.Facts[name] = strings.Repeat("x", factBytes)
	}
	return publish(p.topics.Info, len(i.Append(nil)), 1)
}

func (p packets) stats(qos int) int {
	return publish(p.topics.Stats, statsBytes+statsDevice*len(p.d.Serial)+factBytes*len(p.d.Device.Facts), qos)
}

func (p packets) takesCommands() bool {
	for _, s := range p.d.Serial {
		if s.Commands {
			return true
		}
	}
	return false
}

const commandID = "01hf3kq8v2x7c9d4e5f6"

func (p packets) command() int {
	body, _ := wire.NewBody(make([]byte, requestText/2), wire.Hex)
	c := wire.Command{ID: commandID, Expires: someTime, Body: body}
	return publish(wire.Expand(p.topics.Cmd, "name", p.anyDevice())+wire.WriteSuffix, len(c.Append(nil)), 1)
}

func (p packets) reply() int {
	return publish(wire.Expand(p.topics.Reply, "name", p.anyDevice()), len(wire.Reply{ID: commandID, OK: true}.Append(nil)), 1)
}

// anyDevice is one that takes commands, the first by name so that an estimate does not change by itself.
func (p packets) anyDevice() (first string) {
	for name, s := range p.d.Serial {
		if s.Commands && (first == "" || name < first) {
			first = name
		}
	}
	return first
}

// telemetry is how many publishes the frames of a device make in a month, and how large each is.
func (p packets) telemetry(name string, s *config.SerialDevice, a Assumptions) (count float64, size int) {
	topic := wire.Expand(p.topics.Data, "name", name)
	if s.Compress == "gzip" {
		topic += wire.GzipSuffix
	}
	frames := days * a.FramesPerDay
	sample := sample{gateway: idOf(p.d), name: name, encoding: wire.Encoding(s.PayloadEncoding()), size: a.FrameBytes,
		format: s.PayloadFormat(), gzip: s.Compress == "gzip"}
	if !s.Batch.On() || sample.format.Bare() {
		return frames, publish(topic, sample.single(), 1)
	}
	n := batchOf(s.Batch.Resolved(), p.d.Spool.LongestBatch(), len(sample.record(0)), a.FramesPerDay/(24*60*60))
	return frames / float64(n), publish(topic, sample.batch(n), 1)
}

// batchOf is how many records a batch holds when it leaves: full, or because its first one has waited long enough.
// rate is in frames a second.
func batchOf(b config.Batch, longest config.Duration, record int, rate float64) int {
	delay := b.Delay
	if longest > 0 {
		delay = min(delay, longest)
	}
	n := 1 + int(math.Floor(rate*delay.Std().Seconds()))
	return max(1, min(n, b.Frames, (int(b.Bytes.Int64())-1)/(record+1)))
}
