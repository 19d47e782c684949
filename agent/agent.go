// Package agent composes linkbeat: it is the only package that knows its siblings, and it holds the policy that none of them
// has. It translates the configuration into their options, starts and stops them in order, and carries records between them.
//
// # The way of a byte
//
//	UP    bridge.Device → devices: stored frame → spool.Append → pump: lane → envelope → transport.Link.Send → PUBACK
//	        → spool.Ack
//	DOWN  transport.Link → downlink: judged, id on disk → bridge.Device.Write → written and drained → reply → its spool → up
//
// The network never slows the serial side: between them stands the spool, and what that drops is counted and marked in the
// stream.
//
// # Stopping
//
// Devices first, so that their last frames are in the spool; then the commands, which hear how the devices ended; then the
// pump drains for a few seconds; then the link says offline and disconnects, and its last word on the path is kept; then the
// spools write what is left.
package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rs/zerolog"

	"github.com/linkbeat/linkbeat/config"
)

// Options configure an Agent.
type Options struct {
	Version string                        // of the program
	Built   time.Time                     // of the binary: a clock before it is unset; zero: every clock is believed
	Load    func() (config.Booted, error) // reads the configuration, at the start and for every reload
	Log     io.Writer                     // zerolog's JSON lines
}

// Agent is linkbeat on a gateway. Create it with New, run it once.
type Agent struct {
	o       Options
	log     zerolog.Logger
	level   *level
	started time.Time
}

// New returns an agent that is not running.
func New(o Options) *Agent {
	lv := &level{}
	lv.set(zerolog.InfoLevel)
	return &Agent{o: o, level: lv, log: zerolog.New(o.Log).Hook(lv).With().Timestamp().Logger(), started: time.Now()}
}

// Run runs the agent until ctx is done, and reloads the configuration for every signal on reload. The error is nil after
// ctx, and wraps config.ErrNoUplink when there is no usable configuration at all.
func (a *Agent) Run(ctx context.Context, reload <-chan struct{}) error {
	booted, err := a.o.Load()
	if err != nil {
		return err
	}
	for {
		g, err := a.generation(booted)
		if err != nil {
			return err
		}
		next, err := g.run(ctx, reload)
		if err = errors.Join(err, g.close()); err != nil {
			return fmt.Errorf("stopped: %w", err)
		}
		if next == nil {
			return nil
		}
		booted = *next
	}
}
