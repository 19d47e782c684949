package framing

import (
	"slices"
	"strings"
	"time"
)

// Kind is one way to frame. The table of [Kinds] is the only list of them: [New] and package config read it.
type Kind struct {
	Name string   // the type in a configuration
	Keys []string // of the configuration, that this kind takes beside type, max, keep and checksum_order
	Text bool     // its frames are text, so that text is how they travel unless told otherwise

	// With keep, what only makes a frame stays in it. Every kind keeps a checksum if there is one.
	KeepsMore bool   // keep has a meaning without a checksum too
	NoKeep    string // why keep has no meaning; empty: it has

	silence func(Spec) time.Duration // see [Spec.Silence]; nil: none is needed
	new     func(*Spec, *sum) (Framer, error)
}

// Kinds are all there are, in the order in which they are best explained.
func Kinds() []Kind {
	return []Kind{
		{Name: "line", Keys: keys("checksum"), Text: true, new: newLine},
		{Name: "delimiter", Keys: keys("bytes checksum"), KeepsMore: true, new: newDelimiter},
		{Name: "idle", Keys: keys("gap chars checksum"), silence: idleSilence, new: newIdle},
		{Name: "fixed", Keys: keys("gap size header checksum checksum_from"), new: newFixed},
		{Name: "length", Keys: keys("gap header offset width mask order adjust trailer checksum checksum_from"), KeepsMore: true,
			new: newLength},
		{Name: "cobs", Keys: keys("checksum"), new: newCOBS},
		{Name: "slip", Keys: keys("checksum"), new: newSLIP},
		{Name: "stx_etx", Keys: keys("dle checksum checksum_over"), NoKeep: "what makes a frame of stx_etx is always cut",
			new: newEnclosed},
		{Name: "modbus_rtu", Keys: keys("gap"), KeepsMore: true,
			silence: func(s Spec) time.Duration { return rtuSilence(s.CharTime) }, new: newRTU},
		{Name: "nmea", Text: true, NoKeep: "a sentence of nmea always keeps its checksum", new: newNMEA},
	}
}

func keys(words string) []string { return strings.Fields(words) }

// Keys are those that some kind takes, in the order in which they are best explained.
func Keys() []string {
	return keys("bytes gap chars size header offset width mask order adjust trailer dle checksum checksum_from checksum_over")
}

// Takes is true when the kind has a use for a key.
func (k Kind) Takes(key string) bool { return slices.Contains(k.Keys, key) }

// KindOf is the kind of a type; false when there is none.
func KindOf(name string) (Kind, bool) {
	for _, k := range Kinds() {
		if k.Name == name {
			return k, true
		}
	}
	return Kind{}, false
}

// Types are the names of the kinds.
func Types() (names []string) {
	for _, k := range Kinds() {
		names = append(names, k.Name)
	}
	return names
}

// Taking are the names of the kinds that take a key.
func Taking(key string) (names []string) {
	for _, k := range Kinds() {
		if k.Takes(key) {
			names = append(names, k.Name)
		}
	}
	return names
}
