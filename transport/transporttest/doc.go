// Package transporttest holds what a link is tested against: an in-memory network, a NAT and an MQTT broker that misbehave
// on demand, and a user-space NAT over real TCP for the demo and the labs.
//
//	client ── Conn ── NAT ── Conn ── Listener ── Broker      in memory, for testing/synctest
//	client ── TCP ─── Relay ─ TCP ── any broker              real time, real sockets
//
// Everything in memory blocks on channels only, never while it holds a lock, so that a bubble of testing/synctest sees every
// wait as a durable one (net.Pipe holds a mutex during a blocked Write and does not). Create all of it inside the bubble, and
// close the Network before the bubble ends.
//
// The package knows nothing of transport: the tests of transport import it.
package transporttest
