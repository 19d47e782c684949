package diagnose

import (
	"fmt"
	"slices"
)

// evidence is all that a trial and the link have seen. From here on nothing is asked, only judged:
//
//	denied   the server's word (a reason of MQTT 5, or two connections closed at this very publish)
//	         and the trial's word counts for the gateway: the same topic with the trial's own client id is refused too, and the
//	         trial hears on the state topic what the link hears there
//	         and a control: hearing works (the trial heard itself on its probe topic), or the link does not hear its own birth
//	ok       it came back; or it was acknowledged by a server that was seen to name a refusal
//	unknown  anything less
type evidence struct {
	topics  []EchoTopic
	answers []Answer          // of topics
	others  map[string]Answer // by EchoTopic.Other
	probe   Answer
	state   bool // the last of topics is the state, and the link's ears count for it

	linked     bool // there is a link to compare with
	birthHeard bool
	birthKnown bool
}

// toAsk are the foreign topics whose answer decides something: those of what is refused; else one, where what was acknowledged
// may be lost, as the server was not seen to name a refusal yet.
func (e *evidence) toAsk() (foreign []string) {
	add := func(topic string) {
		if topic != "" && !slices.Contains(foreign, topic) {
			foreign = append(foreign, topic)
		}
	}
	for i, a := range e.answers {
		if a.refused() {
			add(e.topics[i].Other)
		}
	}
	if len(foreign) > 0 {
		return foreign
	}
	for i, a := range e.answers {
		if a.taken() && !a.Heard {
			add(e.topics[i].Other)
			break
		}
	}
	return foreign
}

// namesRefusals reports that the server was seen to: then what it takes, it takes.
func (e *evidence) namesRefusals() bool {
	if e.probe.refused() || slices.ContainsFunc(e.answers, Answer.refused) {
		return true
	}
	for _, a := range e.others {
		if a.refused() {
			return true
		}
	}
	return false
}

// sameEars tells whether the trial hears on the state topic what the link hears there; known false: that cannot be compared.
func (e *evidence) sameEars() (same, known bool) {
	if !e.state || !e.birthKnown {
		return false, false
	}
	trial := e.answers[len(e.answers)-1]
	if trial.Err != nil || !trial.Granted {
		return false, false
	}
	return trial.Heard == e.birthHeard, true
}

func (e *evidence) results() (all []Result) {
	names := e.namesRefusals()
	for i, topic := range e.topics {
		r := Result{EchoTopic: topic, Verdict: EchoUnknown, Took: e.answers[i].Took, Learnt: e.answers[i].Err == nil,
			Words: e.answers[i].Words}
		r.Deaf = r.Learnt && !e.answers[i].Granted
		switch a := e.answers[i]; {
		case e.state && i == len(e.topics)-1 && e.birthHeard:
			r.Verdict, r.Learnt, r.Why = EchoOK, true, "comes back to the gateway itself"
		case a.Err != nil:
			r.Why = "could not be asked: " + faultText(a.Err)
		case a.refused():
			e.judgeRefused(&r, a)
		default:
			e.judgeTaken(&r, a, names)
		}
		all = append(all, r)
	}
	return all
}

// judgeRefused is about what the server refuses to the trial.
func (e *evidence) judgeRefused(r *Result, a Answer) {
	how := "makes the server close the connection"
	if !a.Closed {
		how = fmt.Sprintf("is refused (reason 0x%02x)", a.Reason)
	}
	other, asked := e.others[r.Other]
	same, known := e.sameEars()
	switch {
	case asked && other.taken():
		r.ByID, r.Doubt = true, e.linked && !e.birthHeard
		r.Why = how + " to the trial, and the same topic with its own client id is not: the rules go by client id, so this " +
			"says nothing about the gateway"
	case !asked || !other.refused():
		r.Doubt = e.linked
		r.Why = how + " to the trial, and whether the rules go by client id could not be found out"
	case e.linked && known && !same:
		r.ByID, r.Doubt = true, !e.birthHeard
		r.Why = how + " to the trial, which does not hear what the gateway hears: this says nothing about the gateway"
	case e.linked && !known:
		r.Doubt = true
		r.Why = how + " to the trial, and whether the gateway hears its own state is not known"
	case !e.probe.Heard && !(e.birthKnown && !e.birthHeard):
		r.Doubt = true
		r.Why = how + " to the trial, which hears itself nowhere: there is no control for it"
	default:
		r.Verdict, r.Why = EchoDenied, how
	}
}

// judgeTaken is about what the server did not refuse.
func (e *evidence) judgeTaken(r *Result, a Answer, names bool) {
	same, known := e.sameEars()
	other := e.linked && known && !same
	switch {
	case a.Heard && other:
		r.ByID, r.Doubt = true, true
		r.Why = "comes back to the trial, while the gateway does not hear its own state"
	case a.Heard:
		r.Verdict, r.Why = EchoOK, "comes back"
	case a.Acked && names && !other:
		r.Verdict, r.Why = EchoOK, "is accepted by a server that names what it refuses, though we may not read it"
	case a.Acked && a.Words:
		r.Why = "is accepted, and not delivered to us; whether to others is not known"
	case a.Acked && !a.Granted:
		r.Doubt, r.Why = true, "cannot be subscribed to, so whether it is delivered is not known"
	case a.Acked:
		r.Doubt, r.Why = true, "is acknowledged and does not come back, by a server that names no refusal: nobody can tell"
	default:
		r.Doubt, r.Why = true, "is neither acknowledged nor delivered"
	}
}

// hears judges whether the gateway hears what is published to it. What it publishes to its own probe topic, with the server's
// consent, must come back: commands come on topics beside that one.
func (e *evidence) hears(topic string) Result {
	a := e.probe
	r := Result{EchoTopic: EchoTopic{Class: ClassCommands, Topic: topic}, Verdict: EchoUnknown, Took: a.Took,
		Learnt: a.Err == nil, Words: a.Words}
	same, known := e.sameEars()
	switch {
	case a.Err != nil:
		r.Why = "could not be asked: " + faultText(a.Err)
	case a.Heard:
		r.Verdict, r.Why = EchoOK, "comes back"
	case a.refused():
		r.Why = "may not be published to, so whether commands arrive cannot be tried"
	case e.linked && !(known && same):
		r.ByID = known
		r.Why = "does not come back to the trial, and whether the gateway hears more than that is not known"
	case a.taken() && (a.Words || e.namesRefusals()):
		r.Verdict, r.Why = EchoDenied, "is accepted and does not come back: commands may not arrive either"
	default:
		r.Why = "is acknowledged and does not come back, by a server that names no refusal"
	}
	return r
}

// err is why nothing was learnt at all.
func (e *evidence) err() error {
	for _, a := range e.answers {
		if a.Err == nil {
			return nil
		}
	}
	if len(e.answers) == 0 {
		return nil
	}
	return e.answers[0].Err
}
