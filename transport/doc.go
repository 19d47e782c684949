// Package transport keeps one MQTT session open over whatever network there is: it dials, notices a dead path soon and a live
// one surely, goes to the next server, backs off, and says why. It and the packages below it alone import the MQTT library, but
// for the demo's plain client.
//
//	l, err := transport.New(transport.Options{ClientID: "gw-1", Servers: …, StateTopic: …, State: …})
//	l.Handle("lb/gw-1/dn/#", func(m transport.Message, retained bool) { … }) // before Run; must not block
//	go l.Run(ctx)                                                           // until ctx is done
//	acked, err := l.Publish(ctx, batch...)                                  // the acknowledged prefix
//
// # One byte's way
//
//	Publish, Send ─▶ window ─▶ publisher ─▶ paho ─▶ conn ─────▶ TLS or WebSocket ─▶ meter ─▶ TCP
//	                           (one by one)         │ ▲ writer  (mqtts, ws, wss)    counts   options: netdial
//	     Ack ◀── each by itself ◀── PUBACK ◀───┐    │ │
//	                                           │    │ └── our own C0 00 between two packets
//	  Handler ◀── dispatch ◀── paho ◀──────── conn ◀┘ ── reads and checks whole packets
//	                                           │
//	  session loop ◀── Sent, Heard, PongHeard ─┘   heartbeat.Beat says: ping, late, give up
//	       │
//	  Run: attempt ─▶ verdict ─▶ backoff ─▶ which server, when ─▶ attempt …
//
// The library (paho.mqtt.golang) encodes and decodes, numbers packets and matches acknowledgements, and nothing else: one
// client per connection, its keepalive, reconnecting and storing switched off (library.go). What it cannot do, or does in a way
// that did harm somewhere, is done by the conn that it is given:
//
//   - exactly one party pings: we. The library never learns of a keepalive; the conn writes ours into CONNECT;
//   - a write has a deadline, so that a full send buffer cannot hide a dead path; nothing that blocks is on the loop;
//   - a read has a watchdog, should even the loop be stuck;
//   - a packet is read and checked as a whole before the library sees it. Nonsense ends the session with a reason, before
//     memory is spent on it; before CONNACK nothing but a CONNACK is read, and what comes before MQTT is counted below
//     every buffer (netdial/bound.go); a message beyond MaxPacket is read past, acknowledged and counted (oversize.go);
//   - an acknowledgement of nothing that we sent is hidden from the library, and counted (Status.Ignored).
//
// Messages, handlers and a list of servers come in; acknowledgements, events and a Status go out. The package keeps nothing on
// disk, reads no configuration, and does not know who uses it. What it stands on, each in a package of its own, from the ground
// up:
//
//	faults           what an error means: for the next attempt, for the counters, for people
//	codec            the few packets that we read and write ourselves
//	backoff          which server next, and when; another client with our id
//	brokerurl        the URL schemes, and what each one carries MQTT over
//	netdial          a stream to a server: addresses, interfaces, proxy, TLS, WebSocket, and what it costs
//	heartbeat        when to ping, when an answer is late, which silence to try next
//	internal/client  a small MQTT client for short sessions of our own: probes, checks, echo tests
//	internal/learn   how long the path may stay silent: probe sessions beside the main link
//	diagnose         one server, once, step by step, for a person; which topics are delivered
//
// Here remain the Link and its loop (link.go, health.go), the session (session.go and what its struct names), the conn that the
// library is given (conn.go, writer.go), and the window (window.go).
//
// # Alive, late, dead
//
// The beat (package heartbeat) pings an idle link each Interval, and asks again when an answer is late by the measured round
// trip. Late costs nothing: Why says so, and a fresh connection (client id "<id>-p0") asks the same server. The session is dead
//
//   - DetectWithin after its first unanswered packet, stuck writes included: the next server is dialled at once;
//   - DetectWithin after a publish without a PUBACK, when no other publish was acknowledged since, whatever else is answered;
//   - when the address that it is from is gone;
//   - when the fresh connection was answered and this one, pinged again, stayed silent for a retransmission and a second more:
//     its mapping was forgotten on the way. The same server is dialled at once. A TCP that still gets
//     a queue of our bytes acknowledged is only slow, and is spared;
//   - at FIN or RST. An RST that answers a beat is a forgotten mapping too.
//
// A publish that is not acknowledged while later ones are (missing.go) says nothing about the path. The window slides past at
// most 32 of them; DetectWithin after the write of the oldest a planned re-dial lets its owner send it again, as MQTT 3.1.1
// allows on a new connection only. It waits for nothing that is missing. The next one comes after 30 s, later ones after up to
// 10 minutes while it goes on, or at once when 32 are missing; Why says so from half of DetectWithin on (20 s at most). A
// SUBSCRIBE that is not answered while publishes are has the same deadline. What nobody sends again (the nonce of a probe, a
// report) is given up then. A lone publish with nothing behind it is followed by our state, published once more: if that is
// acknowledged, the server lives. One that acknowledged our state and nothing of what callers sent on a session is dead all the
// same.
//
// An outage shorter than DetectWithin costs no reconnect: TCP sends again what was lost, at most max(1 s, DetectWithin/6)
// apart (TCP_RTO_MAX_MS, Linux 6.15; before that outages up to half of DetectWithin are survived).
//
// # Backing off
//
// Package backoff has the table. Refused credentials, a certificate, an unknown id: Options.Backoff.Refused. Another client with
// our id is recognised by its traces and named; it is backed off like any server that accepts and then hangs up.
//
// # Promises
//
//   - A Publisher is bound to one session, so that what a loss left open can be sent again before what comes after it.
//   - Each Ack is done when its own PUBACK came, in whatever order. A nil error means PUBACK (QoS 0: written). ErrLost means that
//     the server may or may not have it; sending again is the caller's decision, so nothing is ever sent twice behind its back.
//     At most the window and 32 missing ones are open at the end of a session.
//   - A message beyond MaxPacket, or one that MQTT does not allow, is an error of Send at once; the link stays up.
//   - Nothing is queued while the link is down: Send waits. What waits is the spool's business.
//   - Status.Bytes is exact: its sum is what the sockets read and wrote; its Headers are what the kernel counted beyond that.
//   - Options.Notify and Handlers are called on the link's goroutines and must not block.
//   - On ctx: what is in flight gets a while, then online:false (QoS 1, retained), DISCONNECT; 2 s in all.
//
// # Testing
//
// Everything runs in testing/synctest over Options.Dial; package transporttest has a network, a NAT and a broker in memory.
// The rest is tested against the real mosquitto.
package transport
