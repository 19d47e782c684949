package diagnose

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/linkbeat/linkbeat/transport/codec"
	"github.com/linkbeat/linkbeat/transport/faults"
	"github.com/linkbeat/linkbeat/transport/internal/client"
)

const (
	askedAtOnce = 10              // publishes that wait for their answer
	echoWait    = 2 * time.Second // after the last thing that came
	closesAlone = 2               // connections that are closed at one publish before it is the topic's fault
	closesMost  = 12              // of one Ask, after which the rest is not asked: each may be a handshake of TLS
	deafMost    = 3               // filters at which the server closes the connection, before no more is asked for
)

// Publish is one that a [Trial] makes, with QoS 1 and not retained. It is heard by its bytes.
type Publish struct {
	Topic   string
	Payload []byte // nil: a JSON document with a nonce, which looks like no record
}

// Answer is what a server did with a Publish.
type Answer struct {
	Granted bool // it let us listen there, or says so
	Heard   bool // it came back
	Acked   bool
	Words   bool // the acknowledgement was one of MQTT 5, so that Reason counts
	Reason  byte // of MQTT 5: codec.Failure5 or more is a refusal
	Closed  bool // twice it closed the connection at this publish, which was alone
	Took    time.Duration
	Err     error // why nothing is known of it; nil: the server answered, if only by closing
}

// refused reports that the server has refused it in a way that cannot be taken for anything else.
func (a Answer) refused() bool { return a.Words && a.Reason >= codec.Failure5 || a.Closed }

// taken reports that the server has acknowledged it.
func (a Answer) taken() bool { return a.Acked && !a.refused() }

// Trial publishes on sessions of its own, one after the other, and sees what comes of it. They speak MQTT 5, whose
// acknowledgement has a reason (its section 3.4.2.1), where the server does, and 3.1.1 where not. Owned by one goroutine; whoever
// makes it calls Close.
type Trial struct {
	hello *packets.ConnectPacket
	dial  func(context.Context) (net.Conn, error)

	refused func(bytes int)                    // nil: nobody counts
	said    func(topic string, payload []byte) // nil: nobody asks
	control string                             // the topic of Question.Probe, on which nobody else has a say
	own     atomic.Pointer[map[string]bool]    // topics on which the gateway's own messages are heard too
	client  *client.Client                     // nil: none is open
	old     bool                               // the server does not speak MQTT 5
}

// NewTrial is a trial whose sessions dial opens and hello introduces: see codec.CheckConnect. refused is called with the bytes of
// what others publish there meanwhile, and of what else nobody asked for; nil: nobody counts.
func NewTrial(hello *packets.ConnectPacket, dial func(context.Context) (net.Conn, error), refused func(bytes int)) *Trial {
	return &Trial{hello: hello, dial: dial, refused: refused}
}

// refuse books what nobody asked for. What the gateway publishes while its topics are listened to was asked for: it stays booked
// as what the trial costs.
func (t *Trial) refuse(p client.Packet) {
	own := t.own.Load()
	if t.refused == nil || p.Kind == codec.TypePublish && own != nil && (*own)[p.Topic] {
		return
	}
	t.refused(p.Read)
}

// OnPublish lets said be called before each publish, with what is to be heard: whoever else listens there may know it for ours.
func (t *Trial) OnPublish(said func(topic string, payload []byte)) { t.said = said }

// Close ends the session that is open.
func (t *Trial) Close() {
	if t.client != nil {
		hangUp(t.client)
		t.client = nil
	}
}

// connected opens a session when there is none. What a server that does not know MQTT 5 does with it is its own: whatever it is,
// 3.1.1 is tried then.
func (t *Trial) connected(ctx context.Context) error {
	for t.client == nil {
		conn, err := t.dial(ctx)
		if err != nil {
			return err
		}
		t.client = client.New(conn, client.Options{Limit: packetMax, Refused: t.refuse, MQTT5: !t.old})
		if err = connect(ctx, t.client, t.hello, t.old); err == nil {
			return nil
		}
		t.Close()
		if t.old || ctx.Err() != nil {
			return err
		}
		t.old = true
	}
	return nil
}

// Ask makes the publishes, some at a time, and returns an answer for each. With listen it subscribes to their topics before, and
// waits for what comes back. A connection that is closed accuses none of those that were under way together: each is asked alone
// then.
func (t *Trial) Ask(ctx context.Context, all []Publish, listen bool) []Answer {
	r := &round{t: t, all: slices.Clone(all), answers: make([]Answer, len(all)), began: time.Now()}
	for i := range r.all {
		if r.all[i].Payload == nil {
			r.all[i].Payload = echoPayload()
		}
		if t.said != nil {
			t.said(r.all[i].Topic, r.all[i].Payload)
		}
	}
	err := r.connected(ctx)
	if err == nil && listen {
		err = r.listen(ctx)
	}
	if err == nil {
		err = r.together(ctx)
	}
	if err != nil && isEnd(err) {
		err = r.alone(ctx)
	}
	if err == nil && listen && t.client != nil {
		_ = r.wait(ctx, echoWait, r.allHeard) // what was answered stays so
	}
	for i := range r.answers {
		if err != nil && !r.known(i) {
			r.answers[i].Err = err
		}
	}
	return r.answers
}

// round is an Ask under way.
type round struct {
	t       *Trial
	all     []Publish
	answers []Answer
	began   time.Time

	client *client.Client // of ids
	ids    map[uint16]int // of what was sent on it
	ponged bool
	closes int
}

// known reports that the server has answered the i-th.
func (r *round) known(i int) bool {
	a := r.answers[i]
	return a.Acked || a.Heard || a.Closed
}

func (r *round) allHeard() bool {
	return !slices.ContainsFunc(r.answers, func(a Answer) bool { return a.Granted && a.taken() && !a.Heard })
}

// again connects anew after the server closed.
func (r *round) again(ctx context.Context) error {
	r.t.Close()
	if r.closes++; r.closes > closesMost {
		return fmt.Errorf("the server has closed %d connections: the rest is asked another time", r.closes)
	}
	return r.connected(ctx)
}

// connected opens a session when there is none, and says what is to come back on it.
func (r *round) connected(ctx context.Context) error {
	err := r.t.connected(ctx)
	if err == nil {
		payloads, own := make([][]byte, 0, len(r.all)), map[string]bool{}
		for _, p := range r.all {
			payloads = append(payloads, p.Payload)
			own[p.Topic] = p.Topic != r.t.control
		}
		r.t.own.Store(&own)
		r.t.client.Expect(payloads...)
	}
	return err
}

// listen subscribes to the topics. A server that closes at a subscription is asked for one after the other, and soon for none.
func (r *round) listen(ctx context.Context) error {
	filters := map[string]bool{} // granted or not
	var order []string
	for _, p := range r.all {
		if _, ok := filters[p.Topic]; !ok {
			filters[p.Topic] = false
			order = append(order, p.Topic)
		}
	}
	closes, size := 0, codec.MaxSubscribe
	for len(order) > 0 && closes <= deafMost {
		some := order[:min(len(order), size)]
		codes, err := r.t.client.Subscribe(ctx, some, patience)
		switch {
		case err == nil:
			for i, code := range codes {
				filters[some[i]] = code < codec.SubackFailure
			}
			order = order[len(some):]
			continue
		case !isEnd(err):
			return err
		}
		if closes, size = closes+1, 1; len(some) == 1 {
			order = order[1:]
		}
		if err := r.again(ctx); err != nil {
			return err
		}
		if err := r.resume(ctx, filters); err != nil {
			return err
		}
	}
	for i, p := range r.all {
		r.answers[i].Granted = filters[p.Topic]
	}
	return nil
}

// resume subscribes anew to what an earlier session was granted.
func (r *round) resume(ctx context.Context, filters map[string]bool) error {
	var granted []string
	for f, yes := range filters {
		if yes {
			granted = append(granted, f)
		}
	}
	_, err := subscribe(ctx, r.t.client, granted)
	return err
}

// together asks groups of them.
func (r *round) together(ctx context.Context) error {
	for at := 0; at < len(r.all); at += askedAtOnce {
		var some []int
		for i := at; i < min(at+askedAtOnce, len(r.all)); i++ {
			some = append(some, i)
		}
		if err := r.group(ctx, some); err != nil {
			return err
		}
	}
	return nil
}

// alone asks what has no answer yet, one after the other.
func (r *round) alone(ctx context.Context) error {
	if err := r.again(ctx); err != nil {
		return err
	}
	for i := range r.all {
		for closed := 0; !r.known(i); {
			err := error(nil)
			if r.answers[i].Granted {
				_, err = r.t.client.Subscribe(ctx, []string{r.all[i].Topic}, patience)
			}
			if err == nil {
				if err = r.group(ctx, []int{i}); err == nil {
					break
				}
				closed++
			}
			if !isEnd(err) {
				return err
			}
			r.answers[i].Closed = closed >= closesAlone && !r.known(i)
			if err := r.again(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// group makes some of the publishes, and waits for what the server acknowledges. The ping behind them tells a server that is
// silent about a topic from one that is silent altogether, which is an error.
func (r *round) group(ctx context.Context, some []int) error {
	c := r.t.client
	if r.client != c {
		r.client, r.ids = c, map[uint16]int{}
	}
	r.ponged = false
	for _, i := range some {
		id, err := c.Publish(r.all[i].Topic, r.all[i].Payload, 1, patience)
		if err != nil {
			return c.Cause(err)
		}
		r.ids[id] = i
	}
	if err := c.Send(client.Pingreq(), patience); err != nil {
		return c.Cause(err)
	}
	return r.wait(ctx, patience, func() bool {
		return r.ponged && !slices.ContainsFunc(some, func(i int) bool { return !r.known(i) })
	})
}

// wait takes what comes until it is over, or echoWait after the last that came. Nothing within first is an error, where that is
// patience.
func (r *round) wait(ctx context.Context, first time.Duration, over func() bool) error {
	timer := time.NewTimer(first)
	defer timer.Stop()
	for came := false; !over(); {
		select {
		case p, ok := <-r.t.client.Packets():
			if !ok {
				return r.t.client.Err()
			}
			if r.take(p) {
				came = true
				timer.Reset(echoWait)
			}
		case <-timer.C:
			if !came && first == patience {
				return client.NoAnswer(patience)
			}
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// take notes what came in; false: it was not for us.
func (r *round) take(p client.Packet) bool {
	switch p.Kind {
	case codec.TypePingresp:
		r.ponged = true
		return true
	case codec.TypePuback:
		if len(p.Body) < 2 {
			return false
		}
		i, ok := r.ids[codec.PacketID(p.Body)]
		if ok && r.client == r.t.client {
			a := &r.answers[i]
			a.Acked, a.Took = true, time.Since(r.began)
			if !r.t.old {
				a.Words, a.Reason = true, codec.Reason5(p.Body)
			}
		}
		return ok
	case codec.TypePublish:
		i := slices.IndexFunc(r.all, func(sent Publish) bool {
			return sent.Topic == p.Topic && bytes.Equal(sent.Payload, p.Body)
		})
		if i >= 0 {
			r.answers[i].Heard, r.answers[i].Took = true, time.Since(r.began)
		}
		return i >= 0
	}
	return false
}

// isEnd reports that the connection ended, rather than that an answer did not come.
func isEnd(err error) bool {
	f := pathFaultOf(err)
	return f == FaultClosed || f == FaultOurs
}

// faultText is what an error means, in words.
func faultText(err error) string { return faults.Of(err, time.Now()).Error() }

// zipped is p in gzip.
func zipped(p []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(p) // a buffer takes it
	_ = z.Close()
	return b.Bytes()
}

// echoPayload is what whoever listens to the topic sees: JSON, and nothing that looks like a record.
func echoPayload() []byte { return fmt.Appendf(nil, `{"echo":"%s"}`, codec.Nonce()) }
