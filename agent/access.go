package agent

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/linkbeat/linkbeat/agent/supervise"
	"github.com/linkbeat/linkbeat/agent/wire"
	"github.com/linkbeat/linkbeat/transport"
)

const (
	accessAfter  = time.Minute // after the first session with a server, and random 0 to accessSpread
	accessSpread = 2 * time.Minute
	accessTime   = time.Minute
	accessRetry  = time.Hour
	accessAgain  = 24 * time.Hour
)

// access is what the server's access rules do with what we publish: brokers acknowledge what they deny and do not deliver it
// (mosquitto#547, emqx#368), so each class of topics is tried once with each server. Safe for concurrent use.
type access struct {
	mu    sync.Mutex
	tried map[string]accessCheck // by server
}

// accessCheck is what one server did.
type accessCheck struct {
	verdict map[string]string // by class
	at      time.Time
}

// get is what is known of a server; nil: nothing.
func (a *access) get(server string) map[string]string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.tried[server].verdict)
}

// forget is called when a person may have mended something.
func (a *access) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.tried)
}

// why names what a server denies; empty: nothing, as far as is known.
func (a *access) why(server string) string {
	verdict := a.get(server)
	var denied []string
	for _, class := range slices.Sorted(maps.Keys(verdict)) {
		if verdict[class] == transport.EchoDenied {
			denied = append(denied, class)
		}
	}
	if len(denied) == 0 {
		return ""
	}
	return fmt.Sprintf("the server acknowledges what it does not deliver: its access rules deny %s; "+
		"see linkbeat diag and linkbeatctl acl", strings.Join(denied, ", "))
}

// next reports whether a server is to be tried: once, and once a day while it is not known to deliver all of them.
func (a *access) next(server string, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	known, ok := a.tried[server]
	fine := true
	for _, v := range known.verdict {
		fine = fine && v == transport.EchoOK
	}
	return !ok || !fine && now.Sub(known.at) >= accessAgain
}

func (a *access) checked(server string, verdict map[string]string, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.tried == nil {
		a.tried = map[string]accessCheck{}
	}
	a.tried[server] = accessCheck{verdict, now}
}

func echoTopics(t wire.Topics) (all []transport.EchoTopic) {
	for _, c := range t.Classes() {
		all = append(all, transport.EchoTopic(c))
	}
	return all
}

// tryAccess tries each server once, some time after it took us, until ctx is done.
func (u *uplinkRun) tryAccess(ctx context.Context) error {
	wait := accessAfter + time.Duration(rand.Float64()*float64(accessSpread))
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-u.link.Ready():
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		wait = accessRetry
		st := u.link.Status()
		if st.State != transport.StateUp || !u.access.next(st.Server, time.Now()) || u.ledger.Exhausted() {
			continue
		}
		try, cancel := context.WithTimeout(ctx, accessTime)
		verdict, err := u.link.Echo(try, echoTopics(u.topics))
		cancel()
		if err != nil {
			u.log.Debug().Err(err).Msg("access rules of the server could not be checked")
			continue
		}
		u.access.checked(st.Server, verdict, time.Now())
		supervise.Str(u.log.Info(), "why", u.access.why(st.Server)).Interface("verdict", verdict).
			Msg("access rules of the server checked")
	}
}
