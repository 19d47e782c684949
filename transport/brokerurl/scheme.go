// Package brokerurl is the table of the URL schemes that a broker may have, and the type of its URL, which shows itself without
// what may be secret in it. What dials, what tries a server for a person and what checks a configuration read the same rows, so
// that a new scheme is one row here, and the code of what is new about it.
package brokerurl

import (
	"slices"
	"strings"
)

// Scheme says how MQTT is carried to a broker whose URL begins with Name and "://".
type Scheme struct {
	Name      string   // in lower case
	Port      string   // where the URL names none
	TLS       bool     // below everything else
	WebSocket bool     // between TLS and MQTT (MQTT 3.1.1, section 6); only then the URL has a path
	Mistaken  []string // for it: what other clients and other protocols write, in lower case
}

// schemes is the table, in the order in which messages name it.
var schemes = []Scheme{
	{Name: "mqtt", Port: "1883", Mistaken: []string{"tcp"}},
	{Name: "mqtts", Port: "8883", TLS: true, Mistaken: []string{"ssl", "tls", "mqtt+ssl", "tcps"}},
	{Name: "ws", Port: "80", WebSocket: true, Mistaken: []string{"http"}},
	{Name: "wss", Port: "443", TLS: true, WebSocket: true, Mistaken: []string{"https"}},
}

// Named returns the scheme of that name, which is in lower case. False: there is none.
func Named(name string) (Scheme, bool) {
	return first(func(s Scheme) bool { return s.Name == name })
}

// Of returns the scheme of a URL, in any case, as it is dialled (RFC 3986, section 3.1). False: it has none of the table.
func Of(url string) (Scheme, bool) {
	name, _, _ := strings.Cut(url, ":")
	return Named(strings.ToLower(name))
}

// Meant returns the scheme that is probably meant by name, in any case. False: it is not like any.
func Meant(name string) (Scheme, bool) {
	name = strings.ToLower(name)
	return first(func(s Scheme) bool { return s.Name == name || slices.Contains(s.Mistaken, name) })
}

// first returns the first scheme that fits.
func first(fits func(Scheme) bool) (Scheme, bool) {
	for _, s := range schemes {
		if fits(s) {
			return s, true
		}
	}
	return Scheme{}, false
}

// List names, for a sentence, the schemes that fit, each with suffix behind it, the last one after the word before:
// List("://", "or", …) is "mqtt://, mqtts://, ws:// or wss://". Nil fits all.
func List(suffix, before string, fits func(Scheme) bool) string {
	var names []string
	for _, s := range schemes {
		if fits == nil || fits(s) {
			names = append(names, s.Name+suffix)
		}
	}
	last := len(names) - 1
	if last < 1 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:last], ", ") + " " + before + " " + names[last]
}
