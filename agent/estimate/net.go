package estimate

import (
	"math"
	"time"

	"github.com/linkbeat/linkbeat/config"
)

const (
	days  = 30.0
	month = 30 * 24 * time.Hour
)

// Of the layers below MQTT, in bytes.
const (
	segmentHeader = 20 + 20 + 12 // IPv4 (RFC 791), TCP with timestamps (RFC 9293, RFC 7323)
	segmentData   = 1400         // less than Ethernet's 1448: mobile networks wrap what they carry
	recordHeader  = 5 + 1 + 16   // TLS 1.3: header, type, tag (RFC 8446, 5.2)
	// WebSocket: 2, and 4 of the mask (RFC 6455, 5.2); 2 more for long ones, none of the mask coming back
	frameHeader  = 6
	openAndClose = 7 // segments without data: SYN, SYN ACK, ACK; FIN, ACK, FIN, ACK
)

// Of a handshake, both directions. With mosquitto and ECDSA certificates straight from their authority a full one with a client
// certificate took 4485, a WebSocket's upgrade 383; RSA and intermediate authorities take more.
const (
	tlsFull       = 4000
	tlsResumed    = 600
	tlsClientCert = 1200
	tlsFlights    = 4 // segments that a handshake has at least
	upgrade       = 400
)

// net adds up what exchanges cost. Owned by one call of cost.
type net struct {
	tls, ws, cert bool
	bytes         map[string]float64 // by cause
}

func newNet(d *config.Document) *net {
	n := &net{bytes: map[string]float64{}}
	if len(d.Uplink.Servers) > 0 { // the first is the one that counts
		s := d.Uplink.With(d.Uplink.Servers[0])
		n.tls = s.Encrypted()
		n.ws = s.URL != "" && s.URL[0] == 'w'
		n.cert = n.tls && s.TLS.CertFile != ""
	}
	return n
}

// wrapped is what is around a packet of MQTT, and around the segment that acknowledges it.
func (n *net) wrapped(packet int) (headers float64) {
	extra := 0
	if n.ws {
		extra += frameHeader
	}
	if n.tls {
		extra += recordHeader
	}
	return float64(extra + 2*segmentHeader*segments(packet+extra))
}

func segments(size int) int { return max(1, (size+segmentData-1)/segmentData) }

// exchange counts some packets of MQTT, so many times a month.
func (n *net) exchange(cause string, times float64, packets ...int) {
	for _, p := range packets {
		n.bytes[cause] += times * float64(p)
		n.bytes[Headers] += times * n.wrapped(p)
	}
}

// publishes counts publishes with QoS 1 of these sizes, so many times each, and says how many packets that are of ours.
func (n *net) publishes(cause string, times float64, sizes ...int) (sent float64) {
	for _, size := range sizes {
		n.exchange(cause, times, size, puback)
		sent += times
	}
	return sent
}

// session counts connections with what is said at their beginning.
func (n *net) session(cause string, times float64, resumed bool, packets ...int) {
	n.bytes[Headers] += times * openAndClose * segmentHeader
	if n.tls {
		size := tlsFull
		if n.cert {
			size += tlsClientCert
		}
		if resumed {
			size = tlsResumed
		}
		n.bytes[cause] += times * float64(size)
		n.bytes[Headers] += times * float64(2*segmentHeader*max(tlsFlights, segments(size)))
	}
	if n.ws {
		n.exchange(cause, times, upgrade/2, upgrade/2)
	}
	n.exchange(cause, times, packets...)
}

// probes counts what learning costs: sessions within the budget, which counts headers too, and canaries beside it.
func (n *net) probes(d *config.Document, p packets, s scenario, connects float64) {
	one := &net{tls: n.tls, ws: n.ws, cert: n.cert, bytes: map[string]float64{}}
	one.session(Probes, 1, true, p.probeSession()...)
	one.exchange(Probes, 1, p.nonce()...)
	each := one.bytes[Probes] + one.bytes[Headers]
	tests := math.Min(connects*s.tests, float64(d.Heartbeat.ProbeBudget.Month.Int64())/each)
	n.bytes[Probes] += tests * one.bytes[Probes]
	n.bytes[Headers] += tests * one.bytes[Headers]
	if s.canary > 0 {
		n.exchange(Probes, month.Seconds()/(s.interval.Seconds()*s.canary), p.nonce()...)
	}
}
