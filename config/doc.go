// Package config is the document that says what a gateway does: its types and defaults, a strict reader, the checks over
// the whole of it, the difference between two of them, and the store of the last one that worked.
//
// # Reading
//
// [Parse] reads a YAML document strictly and finds every fault at once: unknown keys (with what was probably meant),
// duplicates, wrong types, values out of range, and what does not fit together. Each [Fault] names its path and line.
// Values may hold ${NAME}; a variable LINKBEAT_UPLINK_USERNAME overrides uplink.username, and so on for every key with a
// plain value. Keys that this version does not support are checked, and give a warning.
//
// # Running
//
// A site must never be cut off by a typo. [Boot] goes on with the last good document when the file is bad, and takes only the
// faulty serial devices away when nothing else is wrong. [Store] keeps the last good document and the identity.
//
// # Ownership
//
// The package is pure but for [Store] and what the caller hands in; it reads neither the clock nor the environment by
// itself. A [Document] is a plain value: whoever shares one between goroutines must not change it.
package config
