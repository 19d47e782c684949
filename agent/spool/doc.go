// Package spool is a crash-safe queue of opaque records on a gateway's flash: what a serial device said waits here until the
// broker has acknowledged it.
//
// Records are appended to named streams, each numbered without holes, read in order by Readers, and given up with Ack only after
// they were acknowledged, in any order. A record that is acknowledged within WriteAfter never touches the flash. The spool is
// bounded in bytes and in age; what it drops is counted, and marked in its stream by a record with a Gap. A disk that is full,
// read-only or broken makes it a queue in memory that says why, never one that refuses.
//
// README.md has the format, what survives which crash, limits and assumptions.
package spool
