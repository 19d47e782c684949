package demo

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// commandEvery is the pause between two commands of a series. It is shorter than any limit, so the first command of a series
// decides: a client whose mapping was forgotten in the silence before it gets none of them.
const commandEvery = 2500 * time.Millisecond

// commands sends numbered commands to both clients and counts. Its methods may be called from any goroutine.
type commands struct {
	toPlain func(text string) error                      // hands a command for the plain client to the broker
	toAgent func(ctx context.Context, text string) error // returns once the agent has confirmed it; nil: confirmed
	done    func(text string, took time.Duration, err error)

	mu     sync.Mutex
	sent   int64
	flying sync.WaitGroup // series, and commands that are not confirmed yet
}

// start begins a series, which ends with ctx.
func (c *commands) start(ctx context.Context) { c.flying.Go(func() { c.series(ctx) }) }

// series sends a command at once and then each commandEvery, until ctx ends. Commands that are under way then go on.
func (c *commands) series(ctx context.Context) {
	tick := time.NewTicker(commandEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		c.send(context.WithoutCancel(ctx))
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// send hands one command to both; the reply of the agent is waited for elsewhere, so that one that is late delays no other.
func (c *commands) send(ctx context.Context) {
	c.mu.Lock()
	c.sent++
	text := commandText(c.sent)
	c.mu.Unlock()
	begin := time.Now()
	plainErr := c.toPlain(text)
	c.flying.Go(func() {
		err := c.toAgent(ctx, text)
		if err == nil {
			err = plainErr
		}
		c.done(text, time.Since(begin), err)
	})
}

// wait returns once every series has ended and every command was confirmed or given up.
func (c *commands) wait() { c.flying.Wait() }

// count returns how many were sent to each client.
func (c *commands) count() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent
}

// commandPrefix begins every command, and no sentence of the recording.
const commandPrefix = "command "

// commandText is the line that command n writes to the device.
func commandText(n int64) string { return fmt.Sprint(commandPrefix, n) }
