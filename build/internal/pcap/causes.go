package pcap

import "strings"

// Causes adds up the bytes of connections by what they were for, as README.md of the agent names them: handshake, ping, data,
// cmd, probe, and headers for all that is no payload of a stream or was sent again.
type Causes map[string]int64

// Sum of all causes.
func (c Causes) Sum() (n int64) {
	for _, v := range c {
		n += v
	}
	return n
}

// Sort books connections: those of the client id main by packet, all others as probes. causeOf names the cause of a topic.
func Sort(all []*Conn, main string, causeOf func(topic string) string) Causes {
	sum := Causes{}
	for _, c := range all {
		sum["headers"] += int64(c.Wire - c.Payload)
		if id := c.ClientID(); id != main {
			sum["probe"] += int64(c.Payload)
			continue
		}
		booked := c.book(sum, c.Up, c.Down, causeOf) + c.book(sum, c.Down, c.Up, causeOf)
		sum["handshake"] += int64(c.Payload - booked) // the beginning of a packet whose end never came
	}
	return sum
}

// book books what went one way; an acknowledgement belongs to what it acknowledges, which went the other way.
func (c *Conn) book(sum Causes, packets, others []Packet, causeOf func(string) string) (booked int) {
	for _, p := range packets {
		cause := "handshake"
		switch p.Type {
		case Pingreq, Pingresp:
			cause = "ping"
		case Publish:
			cause = causeOf(p.Topic)
		case Puback:
			cause = causeOf(acknowledged(p, others))
		}
		sum[cause] += int64(p.Length)
		booked += p.Length
	}
	return booked
}

// acknowledged is the topic of the last PUBLISH with that number before the acknowledgement.
func acknowledged(ack Packet, others []Packet) (topic string) {
	for _, p := range others {
		if p.At.After(ack.At) {
			break
		}
		if p.Type == Publish && p.ID == ack.ID {
			topic = p.Topic
		}
	}
	return topic
}

// TopicCause is the rule for the default topics: birth and will belong to the handshake.
func TopicCause(topic string) string {
	level := strings.Split(topic, "/") // lb / id / up or dn / what
	if len(level) < 4 {
		return "data"
	}
	switch level[2] + "/" + level[3] {
	case "up/state":
		return "handshake"
	case "dn/cmd", "up/reply":
		return "cmd"
	case "dn/probe":
		return "probe"
	case "up/log":
		return "log"
	case "up/config", "dn/config":
		return "config"
	}
	return "data"
}
