package diagnose

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/linkbeat/linkbeat/transport/codec"
	"github.com/linkbeat/linkbeat/transport/internal/client"
)

// Asks is what the session of a gateway asks for in CONNECT, beside a clean session of a minute's keepalive.
type Asks struct {
	Keepalive time.Duration // if zero, a minute
	Lasting   bool          // clean_session: false
	Will      bool          // with QoS 1
	Retain    bool          // messages, and the will, are kept by the server
}

// tidyTime is for taking back what the server would keep, also after an interruption.
const tidyTime = 5 * time.Second

// extra is one of what Asks has.
type extra struct {
	fault Fault
	words string
	take  func(*Asks) // leaves it out
	only  func(Asks) Asks
}

// extras are the parts of a that a server may refuse.
func (a Asks) extras() (all []extra) {
	add := func(wants bool, e extra) {
		if wants {
			all = append(all, e)
		}
	}
	add(a.Keepalive > codec.CheckKeepalive*time.Second, extra{FaultKeepalive, fmt.Sprintf("a keepalive of %v", a.Keepalive),
		func(a *Asks) { a.Keepalive = 0 }, func(a Asks) Asks { return Asks{Keepalive: a.Keepalive} }})
	add(a.Lasting, extra{FaultLasting, "clean_session: false", func(a *Asks) { a.Lasting = false },
		func(Asks) Asks { return Asks{Lasting: true} }})
	add(a.Will, extra{FaultWill, "a will", func(a *Asks) { a.Will = false }, func(Asks) Asks { return Asks{Will: true} }})
	add(a.Will && a.Retain, extra{FaultRetain, "a will that is retained", func(a *Asks) { a.Retain = false },
		func(Asks) Asks { return Asks{Will: true, Retain: true} }})
	return all
}

// String is for people.
func (a Asks) String() string {
	var words []string
	for _, e := range a.extras() {
		if e.fault != FaultWill || !a.Retain {
			words = append(words, e.words)
		}
	}
	return strings.Join(words, ", ")
}

// hello is the CONNECT that asks for a. The will is empty: whatever happens to us, all that it can do is make the server forget
// what we had it keep there [MQTT-3.3.1-10].
func (r *running) hello(a Asks) *packets.ConnectPacket {
	c := codec.CleanConnect(r.SessionID, r.e.Username, r.password)
	c.Keepalive, c.CleanSession = codec.CheckKeepalive, !a.Lasting
	if a.Keepalive > 0 {
		c.Keepalive = uint16(a.Keepalive / time.Second)
	}
	if a.Will && r.Probe != "" {
		c.WillFlag, c.WillQos, c.WillRetain, c.WillTopic = true, 1, a.Retain, r.Probe
	}
	return c
}

// connect is CONNECT and its answer, with all that a gateway asks for. Where the server ends that, it is asked for one after the
// other, and the session goes on without what is refused. nil: there is none.
func (r *running) connect(ctx context.Context, c *client.Client) *client.Client {
	start, asks := time.Now(), r.Asks
	s := Step{Name: StepConnect}
	err := r.greet(ctx, c, asks)
	if err != nil {
		if hangUp(c); len(asks.extras()) > 0 && mayBeAsks(err) {
			if c, asks, s = r.without(ctx, err); c != nil {
				err = nil
			}
		}
	}
	s.Took = time.Since(start)
	switch {
	case err != nil:
		r.fail(&s, err)
		if s.Fault == FaultClosed {
			s.Text += " before it answered CONNECT"
		}
		c = nil
	case s.Text == "":
		s.Text = fmt.Sprintf("accepted as %q%s", r.SessionID, asUser(r.hello(asks)))
		if words := asks.String(); words != "" {
			s.Text += ", with " + words
		}
	}
	r.granted = asks
	r.step(s)
	return c
}

// mayBeAsks reports that a server may end a session in this way because of what it asks for.
func mayBeAsks(err error) bool {
	f := pathFaultOf(err)
	if known, ok := err.(*stepError); ok {
		f = known.fault
	}
	return isEnd(err) || f == FaultClientID || f == FaultNotAllowed || f == FaultUnavailable
}

// greet connects with asks.
func (r *running) greet(ctx context.Context, c *client.Client, asks Asks) error {
	before := r.lasting
	r.lasting = before || asks.Lasting
	err := connect(ctx, c, r.hello(asks), true)
	if _, refused := err.(*stepError); refused {
		r.lasting = before
	} else if err == nil && !asks.Lasting {
		r.lasting = false // it was clean
	}
	return err
}

// tried is greet on a connection of its own; nil: refused.
func (r *running) tried(ctx context.Context, asks Asks) (*client.Client, error) {
	conn, err := r.again(ctx)
	if err != nil {
		return nil, err
	}
	c := newClient(conn)
	if err := r.greet(ctx, c, asks); err != nil {
		hangUp(c)
		return nil, err
	}
	return c, nil
}

// without finds what of Asks the server does not take: with it alone it ends the session, which was because of first. nil: that
// is not it.
func (r *running) without(ctx context.Context, first error) (*client.Client, Asks, Step) {
	s := Step{Name: StepConnect}
	bare, err := r.tried(ctx, Asks{})
	if err != nil {
		return nil, Asks{}, s
	}
	hangUp(bare)
	asks, refused := r.Asks, []string(nil)
	for _, e := range r.Asks.extras() {
		if e.fault == FaultRetain && !asks.Will {
			continue // the will is refused, kept or not
		}
		c, err := r.tried(ctx, e.only(r.Asks))
		if err != nil {
			e.take(&asks)
			if e.fault == FaultWill && !r.speaks(ctx) {
				continue // it may be the topic: the gateway's own will has another one
			}
			refused = append(refused, e.words)
			if s.Fault == "" {
				s.Fault = e.fault
			}
			continue
		}
		hangUp(c)
	}
	if len(refused) == 0 && asks == r.Asks { // only together, or for once
		asks, s.Fault, refused = Asks{}, FaultTogether, []string{r.Asks.String()}
	}
	c, err := r.tried(ctx, asks)
	if err != nil {
		return nil, asks, Step{Name: StepConnect}
	}
	if len(refused) == 0 {
		s.Verdict = EchoUnknown
		s.Text = fmt.Sprintf("accepted as %q%s, but not with a will on %s, where we may not be allowed to publish: nobody can "+
			"tell whether one on the gateway's own topic is accepted", r.SessionID, asUser(r.hello(asks)), r.Probe)
		return c, asks, s
	}
	_, how := faultOf(first, r.Now())
	s.Text = fmt.Sprintf("accepted as %q%s, but not with %s: %s", r.SessionID, asUser(r.hello(asks)),
		strings.Join(refused, ", nor with "), how)
	return c, asks, s
}

// speaks tells whether we hear ourselves on the probe topic.
func (r *running) speaks(ctx context.Context) bool {
	c, err := r.tried(ctx, Asks{})
	if err != nil {
		return false
	}
	defer hangUp(c)
	payload := echoPayload()
	c.Expect(payload)
	if _, err = c.Subscribe(ctx, []string{r.Probe}, patience); err != nil {
		return false
	}
	if _, err = c.Publish(r.Probe, payload, 0, patience); err != nil {
		return false
	}
	w := waiting{c: c, payload: payload}
	return w.listen(ctx) == nil && w.heard
}

// tidy takes back what the server keeps for our sessions: by an empty message, and by a clean CONNECT. It is called at the end,
// also where we were interrupted.
func (r *running) tidy(ctx context.Context) {
	if !r.lasting && !r.kept {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTime)
	defer cancel()
	c, err := r.tried(ctx, Asks{})
	if err != nil {
		if r.lasting && ctx.Err() == nil {
			r.step(Step{Name: StepTidy, Verdict: EchoUnknown, Text: fmt.Sprintf("the session %q could not be cleared, so the "+
				"server may keep it: %s", r.SessionID, faultText(err))})
		}
		return
	}
	defer hangUp(c)
	if r.kept {
		if id, err := c.Retain(r.Probe, nil, tidyTime); err == nil {
			_ = (&waiting{c: c}).acked(ctx, id)
		}
	}
}
