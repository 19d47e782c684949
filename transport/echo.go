package transport

import (
	"context"
	"errors"
	"net"
	"slices"
	"time"

	"github.com/linkbeat/linkbeat/transport/codec"
	"github.com/linkbeat/linkbeat/transport/diagnose"
)

// birthWait is how long a birth that was acknowledged may take to come back to us.
const birthWait = 2 * time.Second

// TrialID is the client id of the sessions that try a server for a gateway, beside its link.
func TrialID(clientID string) string { return diagnose.TrialID(clientID) }

// Trials asks the server of a link what it does with publishes, beside the link's own session. Safe for concurrent use: one trial
// waits for another, as two at once would have the same client id, and throw each other out.
type Trials struct{ l *Link }

// Trials are those of the server in use.
func (l *Link) Trials() Trials { return Trials{l} }

// Ready is that of the link.
func (t Trials) Ready() <-chan struct{} { return t.l.Ready() }

// Using is the session that takes messages, and what it logged in with.
type Using struct {
	Session
	Username string
	Planned  bool // it replaced another one on purpose
}

// Using tells which session takes messages; false: none does.
func (t Trials) Using() (u Using, up bool) {
	s, _ := t.l.health.current()
	if s == nil {
		return u, false
	}
	return Using{Session: s.info, Username: s.e.Username, Planned: s.planned}, true
}

// Deliverable asks the server which of the topics it delivers, on short sessions of its own: client id [TrialID], clean, QoS 1
// and not retained. They share server, path and login with the link's own, and their bytes are booked as probes. probe is a
// control: a topic of our own that anything can be heard on; the last result says whether it is. The one before is that of state,
// the topic of Options.StateTopic, on which the birth is published once more as it is, but for some white space behind it. An
// error says why nothing was learnt; there is a result for each topic all the same. It takes a few seconds at most where the
// server answers.
func (t Trials) Deliverable(ctx context.Context, topics []EchoTopic, probe string, state EchoTopic) ([]EchoResult, error) {
	q := diagnose.Question{Topics: topics, Probe: probe}
	trial, s, err := t.begin(ctx)
	if err != nil {
		return diagnose.Unknown(q, err), err
	}
	defer t.end(trial)
	if state.Topic == t.l.o.StateTopic && state.Topic != "" {
		q.State, q.Birth = state, append(slices.Clip(s.state.birth), whiteSpace()...)
	}
	q.Saw = s.birthHeard
	all, err := trial.Verdicts(ctx, q)
	return all, errors.Join(err, ctx.Err())
}

// Size asks the server whether it delivers a message as large as that of q, which is published once; see [diagnose.Trial.Size].
// As with Deliverable, the bytes are booked as probes.
func (t Trials) Size(ctx context.Context, q SizeQuestion) SizeAnswer {
	trial, _, err := t.begin(ctx)
	if err != nil {
		return SizeAnswer{Err: err}
	}
	defer t.end(trial)
	return trial.Size(ctx, q)
}

// Charge is called before bytes of the budget of the search are spent on a trial.
func (t Trials) Charge(bytes int) { t.l.learner.Charged.Add(int64(bytes)) }

// begin makes a trial beside the session that is up, when there is no other.
func (t Trials) begin(ctx context.Context) (*diagnose.Trial, *session, error) {
	l := t.l
	select {
	case l.trying <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	s, _ := l.health.current()
	password, err := "", errors.New("the link is not up")
	if s != nil {
		password, err = s.e.ReadPassword()
	}
	if err != nil {
		<-l.trying
		return nil, nil, err
	}
	hello := codec.CheckConnect(l.o.ClientID, s.e.Username, password)
	trial := diagnose.NewTrial(hello, func(ctx context.Context) (net.Conn, error) {
		return l.dialer.OpenOn(ctx, s.e, CauseProbe, s.stream.Path())
	}, func(n int) { l.dialer.Counter.Refuse(CauseProbe, n) })
	trial.OnPublish(func(topic string, payload []byte) {
		if topic == l.learner.PairTopic() {
			l.learner.Said(payload)
		}
	})
	return trial, s, nil
}

func (t Trials) end(trial *diagnose.Trial) {
	trial.Close()
	<-t.l.trying
}

// birthHeard tells whether the session heard its own birth. A birth that was acknowledged may take birthWait to come back; known
// is false where the server does not let us listen, where it did not acknowledge, and after the session has ended. With again one
// that was not heard is published once more: what was so at the beginning of the session may have been mended since.
func (s *session) birthHeard(ctx context.Context, again bool) (heard, known bool) {
	if s.l.o.StateTopic == "" || s.l.health.isDenied(s.l.o.StateTopic) {
		return false, false
	}
	select {
	case <-s.state.told.heard:
		return true, true
	default:
	}
	var ack *Ack
	sent, acked, timer := s.state.told.sent, (<-chan struct{})(nil), (<-chan time.Time)(nil)
	for {
		select {
		case <-s.state.told.heard:
			return true, true
		case <-sent:
			sent, ack = nil, s.state.told.ack
			if again {
				var err error
				if ack, err = s.window.send(ctx, s.state.message(s.state.birth)); err != nil {
					return false, false
				}
			}
			acked = ack.Done()
		case <-acked:
			if ack.Err() != nil {
				return false, false
			}
			acked, timer = nil, time.After(birthWait)
		case <-timer:
			return false, true
		case <-s.life.ended:
			return false, false
		case <-ctx.Done():
			return false, false
		}
	}
}

// whiteSpace is 16 blanks and tabs that no one else puts in this order.
func whiteSpace() []byte {
	space := codec.Nonce()
	for i, hex := range space {
		space[i] = " \t"[hex&1]
	}
	return space
}
