package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/linkbeat/linkbeat/agent/printable"
	"github.com/linkbeat/linkbeat/transport"
)

const (
	lookEvery     = 250 * time.Millisecond
	connectWithin = 30 * time.Second
	troubleFor    = 30 * time.Second // a link that is up, and something is wrong with it all this time
	sayEvery      = 30 * time.Second // at least, while it learns
	lostEnough    = 3                // losses of the main session before anything was proven
	kindPart      = 1.2              // of the failing silence: within this the kind of path is known, if it can be
)

// Result is what was found. Durations are seconds.
type Result struct {
	Server    string  `json:"server"`
	Settled   bool    `json:"settled"`
	Why       string  `json:"why,omitempty"`       // when it is not settled
	ProvenS   float64 `json:"proven_s"`            // three connections were reached after this silence; 0: none
	FailingS  float64 `json:"failing_s,omitempty"` // after this they were not
	IntervalS float64 `json:"interval_s"`          // the beat to use
	PathKind  string  `json:"path_kind"`           // strict, loose or unknown
	Evidence  string  `json:"evidence"`            // inbound, weak or none
	Tests     int64   `json:"tests"`
	Sessions  int64   `json:"sessions"`   // opened for the tests
	CostBytes int64   `json:"cost_bytes"` // of those sessions on the wire, headers included
	AllBytes  int64   `json:"all_bytes"`  // of all sockets, without headers of TCP and IP
	Drops     int64   `json:"drops"`      // of that session
	ElapsedS  float64 `json:"elapsed_s"`  // of the measurement
	MaxS      float64 `json:"max_s"`      // longest beat that was of interest
}

// Measure learns how long the path may stay silent, and says on progress how it goes. It ends when that is known, when it
// cannot be known, or with ctx; Result says which. An error is one of the options.
func Measure(ctx context.Context, o Options, progress io.Writer) (Result, error) {
	o, err := o.withDefaults()
	if err != nil {
		return Result{}, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	refused := make(chan string, 1)
	link, err := transport.New(o.link(func(e transport.Event) {
		if e.Kind == transport.EventRefused {
			select {
			case refused <- e.Why:
			default:
			}
		}
	}))
	if err != nil {
		return Result{}, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	started := time.Now()
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- link.Run(run) }()
	why := (&watcher{link: link, out: progress, started: started, refused: refused}).watch(ctx)
	result := resultOf(link.Status(), o, why, time.Since(started))
	stop()
	return result, <-ended
}

// watcher waits for the end of the measurement.
type watcher struct {
	link    *transport.Link
	out     io.Writer
	started time.Time
	refused <-chan string

	up       bool      // it was, once
	trouble  time.Time // since when the link has something to complain about; zero: it has not
	settled  time.Time
	lastKey  string
	lastSaid time.Time
}

// watch returns why nothing more will be known; empty: all is.
func (w *watcher) watch(ctx context.Context) string {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return "interrupted"
		case why := <-w.refused:
			return why
		case now := <-tick.C:
			s := w.link.Status()
			w.say(s, now)
			if why, ended := w.ended(s, now); ended {
				return why
			}
		}
	}
}

func (w *watcher) ended(s transport.Status, now time.Time) (why string, ended bool) {
	w.up = w.up || s.State == transport.StateUp
	if s.State != transport.StateUp || s.Why == "" {
		w.trouble = time.Time{}
	} else if w.trouble.IsZero() {
		w.trouble = now
	}
	h := s.Heartbeat
	if h.Phase != "settled" {
		w.settled = time.Time{}
	} else if w.settled.IsZero() {
		w.settled = now
	}
	kindKnown := h.Kind != "unknown" || h.Failing == 0 || now.Sub(w.settled) > time.Duration(kindPart*float64(h.Failing))+
		detectWithin
	switch {
	case !w.settled.IsZero() && kindKnown:
		return "", true
	case !w.up && now.Sub(w.started) > connectWithin:
		return orText(s.Why, "no session with the server"), true
	case s.Drops >= lostEnough && h.Proven == 0:
		return fmt.Sprintf("lost the connection %d times though it was never silent for more than %v (%s); "+
			"if the path forgets even sooner, choose a shorter silence to begin with", s.Drops, h.Interval, s.Why), true
	case !w.trouble.IsZero() && now.Sub(w.trouble) > troubleFor:
		return s.Why, true
	}
	return "", false
}

// say writes a line when something changed, and now and then.
func (w *watcher) say(s transport.Status, now time.Time) {
	h := s.Heartbeat
	what := fmt.Sprintf("%s, proven %s, failing %s", h.Phase, span(h.Proven), span(h.Failing))
	key := what // without a reason that counts down
	if s.Why != "" {
		what, key = s.State+": "+s.Why, s.State
	}
	if key == w.lastKey && now.Sub(w.lastSaid) < sayEvery {
		return
	}
	w.lastKey, w.lastSaid = key, now
	_ = printable.Fprintf(w.out, "%8s  %s, %d probes open, %s\n", now.Sub(w.started).Round(time.Second), what, h.Open,
		size(h.Cost))
}

func resultOf(s transport.Status, o Options, why string, elapsed time.Duration) Result {
	h := s.Heartbeat
	if why == "" && h.Proven == 0 {
		why = fmt.Sprintf("the path forgets a connection within %v, the shortest silence of interest: choose a shorter one",
			o.Min)
	}
	return Result{
		Server: s.Server, Settled: why == "", Why: why, ProvenS: h.Proven.Seconds(), FailingS: h.Failing.Seconds(),
		IntervalS: h.Interval.Seconds(), PathKind: h.Kind, Evidence: h.Evidence, Tests: h.Probes, Sessions: h.Sessions,
		CostBytes: h.Cost, AllBytes: s.Bytes.Sum(), Drops: s.Drops, ElapsedS: elapsed.Seconds(),
		MaxS: o.Max.Seconds(),
	}
}

// Err is why the measurement did not come to its end; nil: it did.
func (r Result) Err() error {
	if r.Settled {
		return nil
	}
	return errors.New("not settled: " + r.Why)
}
