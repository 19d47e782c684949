package diagnose

import (
	"context"
	"time"

	"github.com/linkbeat/linkbeat/transport/codec"
)

// What is known of a topic. MQTT 3.1.1 has no word for "denied": brokers acknowledge what an access list makes them throw away
// (mosquitto#547, emqx#368), and grant subscriptions that nothing comes on.
const (
	EchoOK      = "ok"      // it came back, or a server that is known to name its refusals has taken it
	EchoDenied  = "denied"  // the server refused it in its own words, and a control says that those count for the gateway
	EchoUnknown = "unknown" // anything less
)

// ClassCommands is the class of the result that says whether the gateway hears what is published to it.
const ClassCommands = "commands"

// EchoTopic is a topic that is asked about.
type EchoTopic struct {
	Class string // what a person calls it: data, reply …
	Topic string

	// Other is the same topic with the client id of the trial, TrialID, in place of the gateway's. Where that is allowed, the
	// rules go by client id, and what they say to the trial they do not say to the gateway. If empty, nothing is ever denied.
	Other string

	Zipped bool // whoever listens there expects gzip
}

// TrialID is the client id of the sessions that ask for a gateway.
func TrialID(clientID string) string { return codec.CheckID(clientID) }

// Question is what a trial asks a server.
type Question struct {
	Topics []EchoTopic

	Probe string    // a control: a topic of our own on which the trial hears itself, or not; if empty, none
	State EchoTopic // the gateway's state; Topic empty: it is not touched
	Birth []byte    // what the trial publishes there: nothing that a listener takes for anything else than what the link says

	// Saw tells whether the link heard its own birth on State; known false: it cannot tell. It may wait. With again the link
	// publishes one that it did not hear once more: the trial hears what is published there. Nil: there is no link.
	Saw func(ctx context.Context, again bool) (heard, known bool)
}

// Result is what is known of one topic.
type Result struct {
	EchoTopic
	Verdict string
	Why     string // behind the topic it makes a sentence
	Took    time.Duration

	Learnt bool // the server has answered; false: Why says why nothing was learnt, and what was known before stands
	Doubt  bool // of EchoUnknown: a person should know that nobody can tell
	Deaf   bool // the gateway's login may not listen there, so no broker can be heard
	Words  bool // asked over MQTT 5, whose acknowledgement has a reason
	ByID   bool // of EchoUnknown: the rules say to the client id of the trial what they do not say to the gateway's
}

// all are the topics that there are results for.
func (q Question) all() []EchoTopic {
	if q.State.Topic == "" {
		return q.Topics
	}
	return append(q.Topics[:len(q.Topics):len(q.Topics)], q.State)
}

// Unknown is what is known of q before it was asked, and because of err was not.
func Unknown(q Question, err error) (all []Result) {
	for _, t := range q.all() {
		all = append(all, Result{EchoTopic: t, Verdict: EchoUnknown, Why: "could not be asked: " + faultText(err)})
	}
	return all
}

// Verdicts asks about all topics of q, about State if it is named, and with Probe whether the gateway hears what is published to
// it, in this order. An error says why nothing was learnt at all; there is a result for each topic all the same.
func (t *Trial) Verdicts(ctx context.Context, q Question) ([]Result, error) {
	t.control = q.Probe
	topics := q.all()
	all := make([]Publish, 0, len(topics)+1)
	for _, a := range topics {
		one := Publish{Topic: a.Topic}
		if a.Zipped {
			one.Payload = zipped(echoPayload())
		}
		all = append(all, one)
	}
	if q.State.Topic != "" {
		all[len(all)-1].Payload = q.Birth
	}
	if q.Probe != "" {
		all = append(all, Publish{Topic: q.Probe})
	}
	answers := t.Ask(ctx, all, true)
	e := evidence{topics: topics, answers: answers[:len(topics)], others: map[string]Answer{}, state: q.State.Topic != ""}
	if q.Probe != "" {
		e.probe = answers[len(topics)]
	}
	if foreign := e.toAsk(); len(foreign) > 0 {
		all = all[:0]
		for _, topic := range foreign {
			all = append(all, Publish{Topic: topic})
		}
		for i, a := range t.Ask(ctx, all, false) {
			e.others[foreign[i]] = a
		}
	}
	if e.linked = q.Saw != nil; e.linked {
		e.birthHeard, e.birthKnown = q.Saw(ctx, e.state && answers[len(topics)-1].Heard)
	}
	results := e.results()
	if q.Probe != "" {
		results = append(results, e.hears(q.Probe))
	}
	return results, e.err()
}
