package exec

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/linkbeat/linkbeat/agent/printable"
	"github.com/linkbeat/linkbeat/agent/supervise"
	"github.com/linkbeat/linkbeat/config"
)

const (
	hookUp, hookDown = "up", "down"

	hookMax    = 4 << 10                                     // bytes of the output that are logged
	hookWhyMax = 1 << 10                                     // bytes of LINKBEAT_WHY
	HookStop   = programTimeout + programDrain + time.Second // the longest that a hook takes to end, whatever it does
)

// linkState is what a hook is run for.
type linkState struct {
	event  string // hookUp or hookDown; empty: no hook was run yet
	server string // its name: without a login and a query
	why    string // with hookDown
}

// same tells whether no hook needs to run between two states: the reason of a state may change, the LED does not.
func (s linkState) same(t linkState) bool { return s.event == t.event && s.server == t.server }

// Hooks runs the commands of the section hooks, one at a time, when the link comes up or is lost. Whatever happens while one
// runs, only the state at its end counts. Safe for concurrent use; run owns the rest.
type Hooks struct {
	log     zerolog.Logger
	timeout time.Duration // of a command; if zero, programTimeout
	changed chan struct{} // capacity 1

	mu    sync.Mutex
	argv  map[string]config.Command // by event; guarded by mu
	state linkState                 // the latest; guarded by mu

	last    linkState                   // that a hook was run for
	failing map[string]*supervise.Fault // by event
}

// NewHooks returns hooks that run nothing.
func NewHooks(log zerolog.Logger) *Hooks {
	return &Hooks{log: log, changed: make(chan struct{}, 1), failing: map[string]*supervise.Fault{hookUp: {}, hookDown: {}}}
}

// Configure takes over what a document says. It counts from the next change on.
func (h *Hooks) Configure(c config.Hooks) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.argv = map[string]config.Command{hookUp: c.Up, hookDown: c.Down}
}

// Up is called when a session is up. It never blocks.
func (h *Hooks) Up(server string) { h.note(linkState{hookUp, server, ""}) }

// Down is called when one that was up is lost or ended. It never blocks.
func (h *Hooks) Down(server, why string) { h.note(linkState{hookDown, server, why}) }

func (h *Hooks) note(s linkState) {
	h.mu.Lock()
	h.state = s
	h.mu.Unlock()
	select {
	case h.changed <- struct{}{}:
	default: // it will look
	}
}

// Ended is called when a link stops for good: if it was up, that is over.
func (h *Hooks) Ended(why string) {
	h.mu.Lock()
	s := h.state
	h.mu.Unlock()
	if s.event == hookUp {
		h.Down(s.server, why)
	}
}

// Run runs hooks until ctx is done, and then the last one: what it switches must not stay as it was.
func (h *Hooks) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), HookStop)
			defer cancel()
			h.turn(last)
			return nil
		case <-h.changed:
			h.turn(context.WithoutCancel(ctx)) // it is short, and the next may be the last
		}
	}
}

// turn runs the hook of the latest state, unless the last one was run for that.
func (h *Hooks) turn(ctx context.Context) {
	h.mu.Lock()
	s, argv := h.state, h.argv[h.state.event]
	h.mu.Unlock()
	if s.event == "" || s.same(h.last) {
		return
	}
	h.last = s
	if len(argv) == 0 {
		return
	}
	c := Program{Argv: argv, Most: hookMax, both: true, timeout: h.timeout,
		env: []string{"LINKBEAT_EVENT=" + s.event, "LINKBEAT_SERVER=" + clean(s.server), "LINKBEAT_WHY=" + clean(s.why)}}
	out, err := c.run(ctx)
	out = c.withoutArguments(out, hookMax)
	if out = strings.TrimSpace(out); out != "" {
		h.log.Debug().Str("output", out).Msg("hook " + s.event + " says")
	}
	h.outcome(s.event, argv, err)
}

// outcome says once that a hook fails, and once that it does not any more.
func (h *Hooks) outcome(event string, argv config.Command, err error) {
	why := ""
	if err != nil {
		why = err.Error()
	}
	switch changed := h.failing[event].Set(why); {
	case changed && err != nil:
		h.log.Warn().Err(err).Str("command", argv.Shown()).Msg("hook " + event + " failed")
	case changed:
		h.log.Info().Msg("hook " + event + " works again")
	}
}

// clean is text that an environment can hold: one line without control characters, of a bounded length.
func clean(text string) string { return printable.Short(text, hookWhyMax) }
