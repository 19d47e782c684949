package diagnose

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/linkbeat/linkbeat/transport/codec"
	"github.com/linkbeat/linkbeat/transport/faults"
	"github.com/linkbeat/linkbeat/transport/internal/client"
)

// What an echo test says about a topic. MQTT 3.1.1 has no word for "denied": brokers acknowledge what an access list makes them
// throw away (mosquitto#547, emqx#368), so only what comes back is known to be delivered.
const (
	EchoOK      = "ok"      // it came back, or a server that names its refusals (MQTT 5) has taken it
	EchoDenied  = "denied"  // it did not come back, or the server closed the connection
	EchoUnknown = "unknown" // we may not listen there, or the server did not answer at all
)

// EchoTopic is a concrete topic that stands for a class of them.
type EchoTopic struct{ Class, Topic string }

const (
	echoWait  = 2 * time.Second // after the acknowledgement
	echoTries = 2               // connections that are closed on us before it is the topic's fault
)

// Unknown is what is known before anything was asked.
func Unknown(topics []EchoTopic) map[string]string {
	verdicts := map[string]string{}
	for _, t := range topics {
		verdicts[t.Class] = EchoUnknown
	}
	return verdicts
}

// Echo publishes to each topic, with QoS 1 and not retained, on short sessions that dial opens and hello introduces, and listens
// whether it comes back: by class EchoOK, EchoDenied or EchoUnknown. An error says why nothing could be learnt, or that it was
// stopped; what was not asked is unknown. refused is called with the bytes of what others publish there meanwhile, and of what
// else nobody asked for.
func Echo(ctx context.Context, hello *packets.ConnectPacket, dial func(context.Context) (net.Conn, error),
	topics []EchoTopic, refused func(bytes int)) (map[string]string, error) {
	verdicts := Unknown(topics)
	e := &echoTest{hello: hello, dial: dial, refused: refused}
	defer e.close()
	if err := e.connected(ctx); err != nil {
		return verdicts, err
	}
	e.hear(ctx, topics, func(h echoResult) { verdicts[h.topic.Class] = h.verdict })
	return verdicts, ctx.Err()
}

// echoTest listens for itself, on one session after another where the server closes them.
type echoTest struct {
	hello  *packets.ConnectPacket
	dial   func(context.Context) (net.Conn, error)
	client *client.Client // nil: none is open

	refused func(bytes int) // nil: nobody counts
}

// connected opens a session when there is none.
func (e *echoTest) connected(ctx context.Context) error {
	if e.client != nil {
		return nil
	}
	c, err := e.dial(ctx)
	if err != nil {
		return err
	}
	e.client = newClient(c, e.refused)
	if err := connect(ctx, e.client, e.hello); err != nil {
		e.close()
		return err
	}
	return nil
}

func (e *echoTest) close() {
	if e.client != nil {
		hangUp(e.client)
		e.client = nil
	}
}

// echoResult is what came of one topic.
type echoResult struct {
	topic   EchoTopic
	verdict string
	why     string // behind the topic it makes a sentence
	took    time.Duration
}

// hear tests the topics and calls report with each result.
func (e *echoTest) hear(ctx context.Context, topics []EchoTopic, report func(echoResult)) {
	var silent []echoResult
	for _, t := range topics {
		if h := e.one(ctx, t); h.verdict == EchoDenied && e.client != nil {
			silent = append(silent, h)
		} else {
			report(h)
		}
	}
	if len(silent) == 0 {
		return
	}
	// mosquitto grants subscriptions and then keeps from us what its acl_file does not let us read: silence alone is no proof.
	reasons := e.reasons(ctx, silent)
	for i, h := range silent {
		switch {
		case i >= len(reasons):
		case reasons[i] < codec.Failure5:
			h.verdict, h.why = EchoOK, "is accepted, though the server does not let us read it"
		default:
			h.why = fmt.Sprintf("is refused (reason 0x%02x)", reasons[i])
		}
		report(h)
	}
}

func (e *echoTest) one(ctx context.Context, topic EchoTopic) echoResult {
	h, start := echoResult{topic: topic}, time.Now()
	for range echoTries {
		var again bool
		if h.verdict, h.why, again = e.once(ctx, topic); !again {
			break
		}
		e.close() // one close may have another reason, such as the check of a late link, which has the same client id
	}
	h.took = time.Since(start)
	return h
}

// once is one attempt. again: the connection was closed, or could not be opened.
func (e *echoTest) once(ctx context.Context, topic EchoTopic) (verdict, why string, again bool) {
	if err := e.connected(ctx); err != nil {
		_, text := faultOf(err, time.Now())
		return EchoUnknown, "could not be asked: " + text, false
	}
	refused, err := subscribe(ctx, e.client, []string{topic.Topic})
	switch {
	case err != nil:
		return EchoUnknown, "could not be listened to: " + faults.Of(err, time.Now()).Error(), isEnd(err)
	case len(refused) > 0:
		return EchoUnknown, "cannot be subscribed to, so whether it is delivered is not known", false
	}
	heard, acked, err := echo(ctx, e.client, topic.Topic)
	switch {
	case heard:
		return EchoOK, "comes back", false
	case err != nil && isEnd(err):
		return EchoDenied, "makes the server close the connection", true
	case err != nil:
		return EchoUnknown, "was not answered: " + faults.Of(err, time.Now()).Error(), false
	case acked:
		return EchoDenied, "is acknowledged and not delivered", false
	}
	return EchoDenied, "is neither acknowledged nor delivered", false
}

// isEnd reports that the connection ended, rather than that an answer did not come.
func isEnd(err error) bool {
	f := pathFaultOf(err)
	return f == FaultClosed || f == FaultOurs
}

// echo publishes a nonce to topic and waits until it is heard. The ping behind it tells a server that is silent about the topic
// from one that is silent altogether, which is an error.
func echo(ctx context.Context, c *client.Client, topic string) (heard, acked bool, err error) {
	payload := echoPayload()
	c.Expect(payload)
	id, err := c.Publish(topic, payload, 1, patience)
	if err == nil {
		err = c.Send(client.Pingreq(), patience)
	}
	if err != nil {
		return false, false, c.Cause(err)
	}
	timer, answered := time.NewTimer(patience), false
	defer timer.Stop()
	for {
		select {
		case p, ok := <-c.Packets():
			switch {
			case !ok:
				return false, acked, c.Err()
			case p.Kind == codec.TypePublish && p.Topic == topic && !p.Foreign:
				return true, acked, nil
			case p.Foreign:
			case p.Kind == codec.TypePuback:
				acked = acked || codec.PacketID(p.Body) == id
				fallthrough
			case p.Kind == codec.TypePingresp:
				answered = true
				timer.Reset(echoWait)
			}
		case <-timer.C:
			if !answered {
				err = client.NoAnswer(patience)
			}
			return false, acked, err
		case <-ctx.Done():
			return false, acked, ctx.Err()
		}
	}
}

// echoPayload is what whoever listens to the topic sees: JSON, and nothing that looks like a record.
func echoPayload() []byte { return fmt.Appendf(nil, `{"echo":"%s"}`, codec.Nonce()) }
