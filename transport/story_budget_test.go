package transport

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/transport/heartbeat"
	"github.com/linkbeat/linkbeat/transport/transporttest"
)

// A link without a budget beats at its longest, and opens nothing; when there is a budget again it goes on where it was.
func TestExhaustedBudget(t *testing.T) {
	o := tweaked(heartbeat.Fast, func(o *Options) { o.Learning.Canary.Every = 3 })
	inBubble(t, rigOptions{nat: transporttest.NATOptions{Idle: testLimit, Behaviour: transporttest.LooseSilent},
		tweak: o}, func(r *rig) {
		r.up(time.Minute)
		was := r.settled(2 * time.Hour)
		r.sleep(time.Hour) // and the planned re-dial is done
		r.link.SetBudgetLevel(BudgetExhausted)
		r.sleep(time.Minute)
		before := r.link.Status()
		r.sleep(5 * time.Hour)
		st := r.link.Status()
		if st.Interval <= was.Interval || st.Heartbeat.Canaries != before.Heartbeat.Canaries ||
			st.Heartbeat.Sessions != before.Heartbeat.Sessions {
			r.Errorf("was %+v\nis  %+v", was, st)
		}
		r.link.SetBudgetLevel(BudgetNormal)
		r.sleep(time.Minute)
		if st := r.link.Status(); st.Interval != was.Interval {
			r.Errorf("was %+v\nis  %+v", was, st.Heartbeat)
		}
	})
}

func TestExhaustedBudgetWithoutLearning(t *testing.T) {
	o := tweaked(heartbeat.Off, func(o *Options) { o.Learning.Max = 10 * time.Minute })
	inBubble(t, rigOptions{tweak: o}, func(r *rig) {
		r.up(time.Minute)
		r.link.SetBudgetLevel(BudgetExhausted)
		r.sleep(time.Minute)
		if st := r.link.Status(); st.Interval != 2*time.Minute { // as long as this session's CONNECT allows
			r.Errorf("%+v", st)
		}
	})
}

// Every third beat is a report: acknowledged, it is as good as a ping.
func TestReportIsABeat(t *testing.T) {
	report := Message{Topic: "lb/gw-1/up/stats", Payload: []byte("{}"), QoS: 1}
	o := tweaked(heartbeat.Off, func(o *Options) {
		o.ReportEvery, o.Report = 3, func() (Message, bool) { return report, true }
	})
	inBubble(t, rigOptions{tweak: o}, func(r *rig) {
		r.up(time.Minute)
		r.sleep(time.Hour + 30*time.Second)
		reports, st := len(r.a.Published(report.Topic)), r.link.Status()
		if reports < 18 || reports > 20 || st.Pings < 38 || st.Pings > 42 || st.Drops > 0 {
			r.Errorf("%d reports, %+v", reports, st)
		}
	})
}

// A report that there is none of is no reason to stay silent.
func TestNoReport(t *testing.T) {
	o := tweaked(heartbeat.Off, func(o *Options) {
		o.ReportEvery, o.Report = 1, func() (Message, bool) { return Message{}, false }
	})
	inBubble(t, rigOptions{tweak: o}, func(r *rig) {
		r.up(time.Minute)
		r.sleep(time.Hour)
		if st := r.link.Status(); st.Pings < 55 || st.Drops > 0 {
			r.Errorf("%+v", st)
		}
	})
}

// A password that was wrong is tried again as soon as it is another one, not after a quarter of an hour.
func TestMendedPasswordEndsTheWaiting(t *testing.T) {
	var mended atomic.Bool
	hooks := transporttest.Hooks{OnConnect: func(c transporttest.Connect) byte {
		if string(c.Password) != "right" {
			return transporttest.BadCredentials
		}
		return transporttest.Accepted
	}}
	o := func(o *Options) {
		o.Servers[0].Username, o.Servers[0].Password = "gw", func() (string, error) {
			if mended.Load() {
				return "right", nil
			}
			return "wrong", nil
		}
	}
	inBubble(t, rigOptions{a: hooks, tweak: o}, func(r *rig) {
		r.sleep(time.Minute)
		if st := r.link.Status(); st.State == StateUp || len(r.a.Connects()) != 1 {
			r.Errorf("%+v", st)
		}
		mended.Store(true)
		r.up(2 * filesEvery)
	})
}
