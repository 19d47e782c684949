// Package estimate says what a configuration will cost on the wire, in bytes a month, before it runs. It is pure: a document and
// some assumptions come in, a table goes out.
//
// # The model
//
// A month has 30 days. Everything is a number of exchanges a month; an exchange is a few packets of MQTT, each a TCP segment of
// its own (more, beyond [segmentData]) that is answered by a segment without data:
//
//	a publish with QoS 1   PUBLISH, PUBACK
//	a beat                 PINGREQ, PINGRESP
//	a session              TCP and TLS; CONNECT, CONNACK; SUBSCRIBE, SUBACK; the birth, its PUBACK, and how it comes back
//	a probe                a session that costs no full handshake, a nonce through the main link, a beat
//
// The bytes of MQTT count for their cause, what TCP, IP, TLS and WebSocket put around them is the cause "headers".
// Retransmissions, DNS and what the link layer adds are not in it.
//
// Whatever is sent puts the next beat off, so a gateway that talks enough never pings: with λ messages a second at random times
// and the interval T there are λ/(e^λT − 1) pings a second, which is 1/T for a silent gateway.
package estimate
