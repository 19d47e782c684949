package diagnose

import (
	"context"
	"fmt"

	"github.com/linkbeat/linkbeat/transport/codec"
)

// SizeQuestion asks whether a server delivers a message of the size that Payload has. It is published as it is, once: where it
// passes, it is delivered.
type SizeQuestion struct {
	Topic   string
	Payload []byte

	Probe string // a topic of our own, for sizes beside that of Payload; if empty, none is tried
	Known int    // bytes of payload that are known to pass
	Next  int    // bytes that are tried on Probe too, when Payload passes; 0: none
}

// SizeAnswer is what became of it. Neither Passed nor Refused: nobody can tell.
type SizeAnswer struct {
	Passed  bool // it came back, or the server took it in words that would have said a refusal
	Refused bool // because of its size
	Passes  int  // bytes of payload that were seen to pass beside it; 0: none
	Why     string
	Deaf    bool // we may not hear what is delivered on Topic, and the server names no refusal
	Err     error
}

// Sized is a payload of n bytes for a trial, which looks like no record.
func Sized(n int) []byte {
	p := echoPayload()
	for len(p) < n {
		p = append(p, ' ')
	}
	return p
}

// Size asks q. What is not about the size alone proves nothing: a small message on the same topic must fare better.
func (t *Trial) Size(ctx context.Context, q SizeQuestion) (s SizeAnswer) {
	t.control = q.Probe
	if s.Err = t.connected(ctx); s.Err != nil {
		return s
	}
	a := t.Ask(ctx, []Publish{{Topic: q.Topic, Payload: q.Payload}}, t.old)[0]
	s.Why = a.Lost()
	switch {
	case a.Err != nil:
		s.Err = a.Err
	case a.Passed():
		s.Passed, s.Why = true, ""
	case a.refused() && !a.Closed:
		s.Refused = a.Reason == codec.TooLarge5
	default:
		small := t.Ask(ctx, []Publish{{Topic: q.Topic}}, !a.Closed)[0]
		s.Refused = small.Err == nil && (small.Heard || a.Closed && small.taken())
		s.Deaf = !s.Refused && !a.Closed && small.Acked
	}
	if q.Probe != "" && (s.Passed || s.Refused) {
		s.Passes = t.beside(ctx, q, s.Refused)
	}
	return s
}

// beside tries other sizes on the probe topic: larger ones where the payload passed, smaller ones where not.
func (t *Trial) beside(ctx context.Context, q SizeQuestion, refused bool) (most int) {
	var all []Publish
	add := func(n int) {
		if n > q.Known {
			all = append([]Publish{{Topic: q.Probe, Payload: Sized(n)}}, all...) // the smallest first: one may end it
		}
	}
	n := len(q.Payload)
	switch {
	case !refused && q.Next > n:
		add(q.Next)
	case refused && 4*q.Known >= n:
		add((q.Known + n) / 2)
	case refused:
		for n /= 2; n > max(q.Known, sizeLeast); n /= 2 {
			add(n)
		}
	}
	if len(all) == 0 {
		return 0
	}
	for i, a := range t.Ask(ctx, all, t.old) {
		if a.Passed() {
			most = max(most, len(all[i].Payload))
		}
	}
	return most
}

// Passed reports that it came back, or that the server took it in words that would have said a refusal.
func (a Answer) Passed() bool { return a.Heard || a.Acked && a.Words && !a.refused() }

// Lost says what became of one that did not pass, for a sentence.
func (a Answer) Lost() string {
	switch {
	case a.Closed:
		return "makes the server close the connection"
	case a.refused():
		return fmt.Sprintf("is refused (reason 0x%02x)", a.Reason)
	case a.Acked:
		return "is acknowledged and does not come back"
	}
	return "is neither acknowledged nor delivered"
}
