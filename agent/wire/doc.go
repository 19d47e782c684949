// Package wire is what travels between a gateway and its fleet: topic templates and payload types, shared by the agent
// and by the operator's program. It is pure: no clock, no file, no socket.
//
// # Topics
//
// A topic is made from a template with placeholders: {id} (the gateway), {name} (a serial device), {group} (a fleet
// group) and {n} (a probe). What the gateway publishes lies under …/up/, what it subscribes to under …/dn/, so that an
// access list needs two lines.
//
// # Payloads
//
// Everything is JSON, but for what the [Format] of a device makes of its records. Times are Unix milliseconds. A [Record] is
// one frame of a device, what a poll says, or the mark of a gap; several in one payload are a batch; compressed payloads
// travel under <topic>/gz.
//
// (id, name, epoch, seq) names one record, and never another one. A reader drops what it has seen and finds holes in seq; a hole
// that the gateway knows of is covered by a record with a gap.
package wire
