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

// reporter publishes the state of the gateway: up/info when it changes and after each connect, up/stats now and then.
type reporter struct {
	link       *transport.Link
	info       string        // topic
	stats      string        // topic
	statsEvery time.Duration // 0: never
	status     func() statuspage.Status
	exhausted  func() bool             // nothing but what matters most may be sent
	denied     func(topic string) bool // what goes there is thrown away: it is not sent
	connected  <-chan struct{}         // signalled for each new session
	lastReport *lastReport
	log        zerolog.Logger
	loop       *supervise.Loop
}

// lastReport is the info that was published last. It is kept over reloads, so that what did not change is not sent again. Owned
// by the reporter that runs.
type lastReport struct {
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
		if info := infoOf(s).Append(nil); r.lastReport.due(info, s.Uplink.Session, time.Now()) {
			m := transport.Message{Topic: r.info, Payload: info, QoS: 1, Retain: true, Cause: transport.CauseData}
			if r.publish(ctx, m) {
				*r.lastReport = lastReport{info, s.Uplink.Session, time.Now()}
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

// due reports whether info is to be published: when it has changed, and once in a new session, as its server may know nothing of
// us; but never within infoEvery of the last time.
func (l *lastReport) due(info []byte, session int64, now time.Time) bool {
	if !l.at.IsZero() && now.Before(l.at.Add(infoEvery)) {
		return false
	}
	return session != l.session || !bytes.Equal(info, l.info)
}

// publish reports whether m was delivered. A loss is no fault: the next turn publishes it again.
func (r *reporter) publish(ctx context.Context, m transport.Message) bool {
	if r.denied(m.Topic) {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, infoEvery)
	defer cancel()
	_, err := r.link.Publish(ctx, m)
	if err != nil && ctx.Err() == nil {
		r.log.Debug().Str("topic", m.Topic).Err(err).Msg("report on the gateway not delivered")
	}
	return err == nil
}

// pause waits until the next turn: infoEvery after the last report, or a new session.
func (r *reporter) pause(ctx context.Context) {
	wait := infoEvery
	if left := time.Until(r.lastReport.at.Add(infoEvery)); left > 0 {
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
