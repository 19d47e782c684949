package operator

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/linkbeat/linkbeat/transport"
)

// client is a session with the broker, and what arrived under its filters.
type client struct {
	o      Options
	link   *transport.Link
	inbox  *inbox
	failed chan transport.Event // capacity 1: the first failure
	up     sync.Once
	stop   context.CancelFunc
	done   chan struct{}
}

// connect returns a client that is subscribed to filters, or an error that wraps ErrUnreachable or ErrArgument. The caller closes
// it.
func connect(ctx context.Context, o Options, filters ...string) (*client, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	for _, why := range o.open() {
		o.Notice(why)
	}
	c := &client{o: o, inbox: newInbox(inboxLimit), failed: make(chan transport.Event, 1), done: make(chan struct{})}
	lo := o.link()
	lo.Notify = c.notify
	if c.link, err = transport.New(lo); err != nil {
		return nil, fmt.Errorf("%w: %w; check --server", ErrArgument, err)
	}
	for _, f := range filters {
		c.link.Handle(f, func(m transport.Message, retained bool) {
			c.inbox.put(message{topic: m.Topic, payload: m.Payload, retained: retained})
		})
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx)) // so that close may say goodbye
	c.stop = stop
	go func() {
		defer close(c.done)
		_ = c.link.Run(run)
	}()
	if err := c.wait(ctx); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// wait returns once the link is up and its subscriptions are granted, or the first attempt has failed.
func (c *client) wait(ctx context.Context) error {
	limit := time.NewTimer(c.o.ConnectWithin)
	defer limit.Stop()
	select {
	case <-c.link.Ready():
	case e := <-c.failed:
		return fmt.Errorf("%w: %s; %s", ErrUnreachable, e.Why, c.advice(e.Kind))
	case <-limit.C:
		return fmt.Errorf("%w: %s: no answer within %v; %s",
			ErrUnreachable, c.link.Status().Server, c.o.ConnectWithin, c.advice(transport.EventDialFailed))
	case <-ctx.Done():
		return ctx.Err()
	}
	if denied := c.link.Status().Denied; len(denied) > 0 {
		return fmt.Errorf("%w: it refused the subscription to %s; allow user %q to read it, or check --prefix",
			ErrUnreachable, strings.Join(denied, ", "), c.o.Username)
	}
	return nil
}

func (c *client) advice(kind transport.EventKind) string {
	if kind == transport.EventRefused {
		return "check --user, --password-file, --ca, --cert and --key"
	}
	return "check that the broker runs and that --server names it"
}

// notify is called by the link. The first failure ends connect; later changes go to Notice.
func (c *client) notify(e transport.Event) {
	switch e.Kind {
	case transport.EventDialFailed, transport.EventRefused:
		select {
		case c.failed <- e:
		default:
		}
	case transport.EventDown:
		c.o.Notice("lost the broker: " + e.Why + "; trying again")
	case transport.EventTakeover, transport.EventKicked, transport.EventOversized, transport.EventUnacknowledged:
		c.o.Notice(e.Why)
	case transport.EventUp:
		first := false
		c.up.Do(func() { first = true })
		if !first {
			c.o.Notice("connected again to " + e.Server + "; what was sent meanwhile is missing here")
		}
	}
}

// publish sends one message with QoS 1 and waits until the broker has it.
func (c *client) publish(ctx context.Context, topic string, payload []byte) error {
	_, err := c.link.Publish(ctx, transport.Message{Topic: topic, Payload: payload, QoS: 1, Cause: transport.CauseCmd})
	if errors.Is(err, transport.ErrTooLarge) {
		return fmt.Errorf("publish to %s: %w", topic, err)
	}
	if err != nil {
		return fmt.Errorf("%w: publish to %s: %w", ErrUnreachable, topic, err)
	}
	return nil
}

// close says goodbye and waits.
func (c *client) close() {
	c.stop()
	<-c.done
}
