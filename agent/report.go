package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"github.com/rs/zerolog"

	"github.com/linkbeat/linkbeat/agent/statuspage"
	"github.com/linkbeat/linkbeat/agent/supervise"
	"github.com/linkbeat/linkbeat/agent/wire"
	"github.com/linkbeat/linkbeat/transport"
)

// infoEvery is how often a changed info is published, at most.
const infoEvery = time.Minute

// reporter tells the fleet about the gateway: up/info when it changes and after each connect, up/stats now and then.
type reporter struct {
	link       *transport.Link
	info       string        // topic
	stats      string        // topic
	statsEvery time.Duration // 0: never
	status     func() statuspage.Status
	exhausted  func() bool     // nothing but what matters most may be sent
	connected  <-chan struct{} // signalled for each new session
	told       *told
	log        zerolog.Logger
	loop       *supervise.Loop
}

// told is what the fleet was told last; it outlives a reporter. Owned by the one that runs.
type told struct {
	info    []byte
	session int64
	at      time.Time // zero: nothing yet
}

// run reports until ctx is done.
func (r *reporter) run(ctx context.Context) error {
	nextStats := time.Now().Add(r.statsEvery)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.link.Ready():
		}
		if r.exhausted() {
			r.pause(ctx)
			continue
		}
		r.loop.Begin()
		s := r.status()
		r.loop.End()
		if info := infoOf(s).Append(nil); r.told.due(info, s.Uplink.Session, time.Now()) {
			m := transport.Message{Topic: r.info, Payload: info, QoS: 1, Retain: true, Cause: transport.CauseData}
			if r.publish(ctx, m) {
				*r.told = told{info, s.Uplink.Session, time.Now()}
			}
		}
		if r.statsEvery > 0 && !time.Now().Before(nextStats) {
			nextStats = time.Now().Add(r.statsEvery)
			if payload, err := json.Marshal(s); err == nil {
				r.publish(ctx, transport.Message{Topic: r.stats, Payload: payload, Cause: transport.CauseData})
			}
		}
		r.pause(ctx)
	}
}

// due tells whether the fleet is to be told: of a change, or over a new session, as its server may know nothing of us; but not
// again before infoEvery is over.
func (t *told) due(info []byte, session int64, now time.Time) bool {
	if !t.at.IsZero() && now.Before(t.at.Add(infoEvery)) {
		return false
	}
	return session != t.session || !bytes.Equal(info, t.info)
}

// publish tells whether m was delivered; a loss is no fault, the next turn tells it again.
func (r *reporter) publish(ctx context.Context, m transport.Message) bool {
	ctx, cancel := context.WithTimeout(ctx, infoEvery)
	defer cancel()
	_, err := r.link.Publish(ctx, m)
	if err != nil && ctx.Err() == nil {
		r.log.Debug().Str("topic", m.Topic).Err(err).Msg("report on the gateway not delivered")
	}
	return err == nil
}

// pause waits until the next turn: infoEvery after the fleet was told, or a new session.
func (r *reporter) pause(ctx context.Context) {
	wait := infoEvery
	if left := time.Until(r.told.at.Add(infoEvery)); left > 0 {
		wait = left
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-r.connected:
	}
}

func infoOf(s statuspage.Status) wire.Info {
	info := wire.Info{IntervalS: s.Heartbeat.IntervalS, ProvenS: s.Heartbeat.ProvenS, Path: s.Heartbeat.Path,
		Ports: map[string]wire.Port{}, Facts: s.Facts}
	for name, d := range s.Serial {
		info.Ports[name] = wire.Port{Port: d.Port, State: d.State, Why: d.Why}
	}
	return info
}
