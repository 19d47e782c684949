package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"github.com/rs/zerolog"

	"github.com/linkbeat/linkbeat/agent/statuspage"
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
	connected  <-chan struct{} // signalled for each new session
	log        zerolog.Logger
}

// run reports until ctx is done.
func (r *reporter) run(ctx context.Context) error {
	nextStats := time.Now().Add(r.statsEvery)
	var told []byte
	var session int64
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.link.Ready():
		}
		s := r.status()
		if info := infoOf(s).Append(nil); s.Uplink.Session != session || !bytes.Equal(info, told) {
			m := transport.Message{Topic: r.info, Payload: info, QoS: 1, Retain: true, Cause: transport.CauseData}
			if r.publish(ctx, m) {
				told, session = info, s.Uplink.Session
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

// publish tells whether m was delivered; a loss is no fault, the next turn tells it again.
func (r *reporter) publish(ctx context.Context, m transport.Message) bool {
	ctx, cancel := context.WithTimeout(ctx, infoEvery)
	defer cancel()
	_, err := r.link.Publish(ctx, m)
	if err != nil && ctx.Err() == nil {
		r.log.Debug().Str("topic", m.Topic).Err(err).Msg("report not delivered")
	}
	return err == nil
}

// pause waits until the next turn: infoEvery, or a new session.
func (r *reporter) pause(ctx context.Context) {
	timer := time.NewTimer(infoEvery)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-r.connected:
	}
}

func infoOf(s statuspage.Status) wire.Info {
	info := wire.Info{IntervalS: s.Heartbeat.IntervalS, ProvenS: s.Heartbeat.ProvenS, Path: s.Heartbeat.Path,
		Ports: map[string]wire.Port{}}
	for name, d := range s.Serial {
		info.Ports[name] = wire.Port{Port: d.Port, State: d.State, Why: d.Why}
	}
	return info
}
