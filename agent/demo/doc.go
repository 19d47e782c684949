// Package demo shows the one idea of linkbeat to a person, on a machine with nothing but the two programs:
//
//	recording ─▶ pseudo-terminal ─▶ linkbeat ─────┐
//	             (creack/pty)      (the real      ├─▶ carrier NAT ─▶ broker ─▶ this program
//	                                program)      │   (user space,   (mochi-mqtt,
//	              an MQTT client with keepalive 60┘    loopback)      in this process)
//
// The NAT forgets a silent connection after a limit that is drawn at random and told to neither client. Commands go to both:
// the agent finds the limit out and receives them, the other client does not. At the end the limit is shown beside what the
// agent has proven, and whether each frame of the device arrived once. linkbeat never imports this package; the broker in it
// is for demonstrations.
package demo
