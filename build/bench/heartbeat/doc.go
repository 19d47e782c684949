// Package heartbeat compares heartbeats on the same paths, in the same virtual time: policies that are in use today, one
// that knows the limit, and ours, which has to find it out.
//
// Each cell is a bubble of testing/synctest with a NAT and a broker in memory (transport/transporttest). Ours is the real
// transport.Link with the MQTT library in it; the others are written here from their published rules. Everybody is measured by
// the NAT: a segment has 52 bytes of headers and is acknowledged by another of 52, a write is one TLS 1.3 record of 22 bytes
// more, a connection costs TCP's opening and end and a resumed TLS 1.3 handshake.
package heartbeat
