package agent

import (
	"context"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/linkbeat/linkbeat/agent/gate"
	"github.com/linkbeat/linkbeat/agent/printable"
	"github.com/linkbeat/linkbeat/agent/statuspage"
	"github.com/linkbeat/linkbeat/agent/supervise"
	"github.com/linkbeat/linkbeat/transport"
)

const (
	lookAtDoor = 15 * time.Second // until a socket that is missing is made
	mostTaps   = 8
)

// door is the agent's socket: what it answers goes on through every reload, also through the one that was asked for over it.
type door struct {
	a      *Agent
	server *statuspage.Server
	fault  supervise.Fault // why there is no socket

	mu       sync.Mutex
	listener *gate.Listener // nil: none
	serving  sync.WaitGroup
}

func newDoor(a *Agent) *door {
	d := &door{a: a}
	page := statuspage.New(statuspage.Options{Status: a.status, Healthy: a.healthy})
	o := serverOptions("local socket", a.log)
	local := statuspage.Local{StateDir: a.stateDir, Tap: a.tap, Reload: a.askReload, Reconnect: a.reconnect,
		Taps: min(mostTaps, o.Seats/2)}
	d.server = statuspage.NewServer(page.LocalHandler(local), o)
	return d
}

// serverOptions are the bounds of the page and of the socket.
func serverOptions(what string, log zerolog.Logger) statuspage.ServerOptions {
	return statuspage.ServerOptions{Seats: gate.Seats(), Log: func(text string) {
		log.Warn().Msg(what + ": " + printable.Short(text, statuspage.MaxText))
	}}
}

// run looks after the socket until ctx is done, and then closes it. A socket that cannot be had never ends the agent.
func (d *door) run(ctx context.Context) error {
	tick := time.NewTicker(lookAtDoor)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
			d.open()
		}
	}
	d.mu.Lock()
	err := d.shut()
	d.mu.Unlock()
	d.server.Close()
	d.serving.Wait()
	return err
}

// open makes sure that there is a socket for the configuration in use. Connections of another one go on.
func (d *door) open() {
	stateDir := d.a.stateDir()
	if stateDir == "" {
		return // nothing runs yet
	}
	folders := gate.Folders(d.a.o.Runtime, stateDir)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.listener != nil {
		if slices.Contains(folders, filepath.Dir(d.listener.Path)) && d.listener.Still() {
			return
		}
		_ = d.shut() // what is left of it is in nobody's way
	}
	var faults []string
	for _, folder := range folders {
		l, err := gate.Listen(folder)
		if err != nil {
			faults = append(faults, err.Error())
			continue
		}
		d.listener = l
		d.fault.Set("")
		supervise.Str(d.a.log.Info().Str("path", l.Path), "why", strings.Join(faults, "; ")).Msg("local socket is open")
		d.serving.Go(func() {
			if err := d.server.Serve(l.Listener); err != nil {
				d.a.log.Error().Err(err).Msg("local socket does not answer any more")
			}
		})
		return
	}
	text := "there is no local socket, so tap, reload and reconnect do not work here: " + strings.Join(faults, "; ")
	if d.fault.Set(text) {
		d.a.log.Warn().Msg(text)
	}
}

// shut closes the socket; d.mu is held.
func (d *door) shut() error {
	if d.listener == nil {
		return nil
	}
	err := d.listener.Close()
	d.listener = nil
	return err
}

// stateDir is the state directory in use; empty: none is yet.
func (a *Agent) stateDir() string {
	if d := a.inUse().Document; d != nil {
		return filepath.Clean(d.StateDir)
	}
	return ""
}

// status is that of the uplink that runs, or says that none does.
func (a *Agent) status() statuspage.Status {
	if u := a.uplink(); u != nil {
		return u.status()
	}
	return statuspage.Status{Version: a.o.Version, StartedAt: a.started.UnixMilli(),
		Uplink: statuspage.Uplink{State: transport.StateDown},
		Why:    "starting, or changing to another state_dir or spool"}
}

func (a *Agent) tap(name string, emit func(text []byte)) (stop func(), gone <-chan struct{}, ok bool) {
	u := a.uplink()
	if u == nil {
		return nil, nil, false
	}
	return u.devices.tap(name, emit)
}

// askReload reloads as SIGHUP does, and returns what came of it.
func (a *Agent) askReload(ctx context.Context) statuspage.Reloaded {
	call := &reloadCall{make(chan statuspage.Reloaded, 1)}
	select {
	case a.calls <- call:
	case <-ctx.Done():
		return statuspage.Reloaded{Fault: "the agent is busy with another reload, or stops"}
	}
	select {
	case r := <-call.done:
		return r
	case <-ctx.Done():
		return statuspage.Reloaded{Fault: "it is not over yet: linkbeat status will say what came of it"}
	}
}

// reconnect has the link dial, and says what came of it.
func (a *Agent) reconnect(ctx context.Context) (r statuspage.Reconnected) {
	u := a.uplink()
	if u == nil {
		r.Fault = "there is no uplink just now: ask again in a few seconds"
		return r
	}
	a.log.Info().Msg("asked to reconnect")
	planned, err := u.link.Reconnect(ctx)
	u.delivery.Again() // not before: what was asked beside the session that ends does not count
	link := u.link.Status()
	switch at := link.Server + ", session " + strconv.FormatInt(u.sessionsBefore()+link.Sessions, 10); {
	case err == nil && planned:
		r.Done = "connected anew to " + at + "; nothing was lost"
	case err == nil:
		r.Done = "connected to " + at
	case ctx.Err() == nil:
		r.Fault = "no new connection: " + err.Error()
	case link.State == transport.StateUp:
		r.Fault = "asked for, and not done yet: the connection waits for a moment with nothing on its way; see linkbeat status"
	default:
		r.Fault = "tried at once, and not connected yet: " + link.Why
	}
	return r
}
