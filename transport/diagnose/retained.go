package diagnose

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/linkbeat/linkbeat/transport/codec"
	"github.com/linkbeat/linkbeat/transport/internal/client"
)

// keptWait is for what the server has kept to come.
const keptWait = time.Second

// retained publishes a message on the probe topic that the server is to keep, sees whether it does, and has it forget it. nil:
// the session has ended.
func (r *running) retained(ctx context.Context, c *client.Client) *client.Client {
	if r.Probe == "" || !r.granted.Retain {
		return c
	}
	s, start := Step{Name: StepRetained}, time.Now()
	payload := echoPayload()
	c.Expect(payload)
	granted := false
	codes, err := c.Subscribe(ctx, []string{r.Probe}, patience)
	if err == nil {
		granted = codes[0] < codec.SubackFailure
		err = r.keep(ctx, c, payload, granted, &s)
	}
	if s.Took = time.Since(start); err != nil {
		c.Close()
		if c = nil; isEnd(err) {
			c = r.refusedToKeep(ctx, &s)
		} else {
			r.fail(&s, err)
		}
	}
	r.step(s)
	return c
}

// keep is one that is kept, heard, kept for whoever comes later, and forgotten.
func (r *running) keep(ctx context.Context, c *client.Client, payload []byte, granted bool, s *Step) error {
	r.kept = true
	id, err := c.Retain(r.Probe, payload, patience)
	if err != nil {
		return c.Cause(err)
	}
	w := waiting{c: c, payload: payload}
	if err = w.acked(ctx, id); err == nil && granted && !w.heard {
		err = w.listen(ctx)
	}
	if err != nil {
		return err
	}
	came := w.heard
	if w.heard = false; came {
		c.Expect(payload)
		if _, err := c.Subscribe(ctx, []string{r.Probe}, patience); err != nil { // what is kept comes anew [MQTT-3.8.4-3]
			return err
		}
		if err := w.listen(ctx); err != nil {
			return err
		}
	}
	switch {
	case w.heard:
		s.Text = r.Probe + " is kept for whoever subscribes later, and was emptied again"
	case w.others:
		s.Text = r.Probe + " is acknowledged; another diagnosis uses it now, so whether it is kept cannot be seen"
	case came:
		s.Verdict, s.Text = EchoUnknown, r.Probe+" comes back, and is not kept for whoever subscribes later"
	default:
		s.Text = r.Probe + " is acknowledged; whether it is kept cannot be heard"
	}
	c.Expect()
	if id, err = c.Retain(r.Probe, nil, patience); err == nil {
		err = w.acked(ctx, id)
	}
	r.kept = err != nil
	return err
}

// refusedToKeep is called where the server closed. Where it does at any publish there, it is the topic that it does not take.
func (r *running) refusedToKeep(ctx context.Context, s *Step) *client.Client {
	s.Fault = FaultRetain
	s.Text = fmt.Sprintf("the server closes the connection at a retained message on %s", r.Probe)
	c, err := r.tried(ctx, r.granted)
	if err != nil {
		return nil
	}
	id, err := c.Publish(r.Probe, echoPayload(), 1, patience)
	if err == nil {
		err = (&waiting{c: c}).acked(ctx, id)
	}
	if err == nil {
		r.kept = false
		return c
	}
	hangUp(c)
	if isEnd(err) {
		s.Fault, s.Verdict = "", EchoUnknown
		s.Text = fmt.Sprintf("the server closes the connection at any message on %s, so nobody can tell", r.Probe)
	}
	if c, err = r.tried(ctx, r.granted); err != nil {
		return nil
	}
	return c
}

// waiting is for what comes on a session.
type waiting struct {
	c       *client.Client
	payload []byte
	heard   bool // payload came
	others  bool // another one did
}

// acked waits for the acknowledgement of id.
func (w *waiting) acked(ctx context.Context, id uint16) error {
	return w.until(ctx, patience, client.NoAnswer(patience), func(p client.Packet) bool {
		return p.Kind == codec.TypePuback && len(p.Body) >= 2 && codec.PacketID(p.Body) == id
	})
}

// listen waits a while for payload.
func (w *waiting) listen(ctx context.Context) error {
	return w.until(ctx, keptWait, nil, func(client.Packet) bool { return w.heard })
}

// until takes what comes until it is over; late is its error after most.
func (w *waiting) until(ctx context.Context, most time.Duration, late error, over func(client.Packet) bool) error {
	timer := time.NewTimer(most)
	defer timer.Stop()
	for {
		select {
		case p, ok := <-w.c.Packets():
			if !ok {
				return w.c.Err()
			}
			if p.Kind == codec.TypePublish {
				ours := w.payload != nil && bytes.Equal(p.Body, w.payload)
				w.heard, w.others = w.heard || ours, w.others || !ours
			}
			if over(p) {
				return nil
			}
		case <-timer.C:
			return late
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
