// Package heartbeat decides when a quiet link must beat and when a silent one is dead (Beat), and finds out how long the path may
// stay silent (Search; README.md draws and explains it).
//
// It is pure: no clock, goroutine, lock or socket. The time comes in as an argument, a deadline or an action goes out.
// The owner runs one short loop:
//
//	timer at Wake() ─▶ Step(now) ─▶ None | Ping (write a PINGREQ) | GiveUp (close the connection)
//	packet written  ─▶ Sent(now)      packet read ─▶ Heard(now)      PINGRESP read ─▶ PongHeard(now)
//
// and sets its timer again after each of these calls.
//
// # What re-arms
//
// Only an outbound packet re-arms the beat (RFC 4787 REQ-6: a NAT must refresh a mapping for outbound packets and need not
// for inbound ones), so a link that only receives still pings once an interval.
//
// # What is late, what is dead
//
// Every packet that goes out waits for an answer. When it has stayed unanswered for one retransmission timeout (RFC 6298, over
// the round trip of our own pings), a ping asks again, because a broker owes an answer to a ping [MQTT-3.12.4-1] and to little
// else (nothing answers QoS 0). When that ping stays unanswered for the timeout too, the link is late: Late says so and further
// pings follow at doubling distances. DetectWithin after the first unanswered packet the link is dead.
//
// # What counts as an answer
//
// Any inbound packet proves that path and broker worked a moment ago. It ends lateness and restarts the wait, but it ends
// the wait only when nothing is owed any more: a push that was already under way while our publish died must not
// hide the death. Owed are the PINGRESP of each ping, and what the owner reports with Owed. A PINGRESP answers
// everything sent before its ping, because a broker handles the packets of a connection in order; so a broker that keeps a
// PUBACK to itself costs one ping, not one after the other.
package heartbeat
