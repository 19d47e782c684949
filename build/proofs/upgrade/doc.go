// Package upgrade proves that a gateway may change the version of linkbeat in both directions. testdata/upgrade holds what an
// earlier commit wrote on the disk and sent of it afterwards; the agent of today goes on with a copy of that, and writes the same
// again from the same inputs.
//
// # The stories
//
//	stopped   the broker away; full, killed in between, rot, a clock that was not set, and at last a stop in order
//	killed    a request that nobody answered yet, a broker that acknowledges nothing, and a SIGKILL
//	aged      records that waited longer than spool.max_age
//
// A story is told by [Record] to any agent: pseudo-terminals, a Modbus slave and a mosquitto of the harness give it the same
// inputs in the same order, and write_after says whether memory or the disk has what it read, so that the same bytes come out
// each time. What cannot be the same (times, epochs, the checksums over them, measured seconds and bytes) is left out by [Dump],
// which reads the formats by their drawings and not with the agent's own code.
package upgrade
