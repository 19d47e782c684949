package diagnose

import (
	"context"
	"fmt"
	"slices"
	"time"
)

const (
	sizeLeast = 256      // bytes of a payload: a server that takes less is of no use
	sizeMost  = 64 << 10 // that is tried: it is paid for
)

// size asks whether a payload as large as the gateway's largest passes, on the probe topic.
func (r *running) size(ctx context.Context, t *Trial) {
	n := min(r.Size, sizeMost)
	if n <= sizeLeast || r.Probe == "" {
		return
	}
	start := time.Now()
	s := Step{Name: StepSize}
	all := t.Ask(ctx, []Publish{{Topic: r.Probe}, {Topic: r.Probe, Payload: Sized(n)}}, true)
	small, large := all[0], all[1]
	r.lasting = r.lasting && small.Err != nil // its session was a clean one
	switch {
	case small.Err != nil && large.Err != nil:
		s.Verdict, s.Text = EchoUnknown, "could not be asked: "+faultText(small.Err)
	case large.Passed():
		s.Text = fmt.Sprintf("a message of %d bytes passes", n)
	case !small.Passed():
		s.Text = fmt.Sprintf("not asked: even small messages on %s do not pass to us", r.Probe)
	case large.Err != nil:
		s.Verdict, s.Text = EchoUnknown, "could not be asked: "+faultText(large.Err)
	default:
		s.Fault, s.Text = FaultSize, fmt.Sprintf("a message of %d bytes %s", n, large.Lost())
		if passes := r.passes(ctx, t, n); passes > 0 {
			s.Text += fmt.Sprintf("; one of %d passes", passes)
		}
	}
	if s.Text += r.asked(small, large); ctx.Err() != nil {
		return
	}
	s.Took = time.Since(start)
	r.step(s)
}

// passes is the largest half, quarter … of n that passes; 0: none does.
func (r *running) passes(ctx context.Context, t *Trial, n int) (most int) {
	var all []Publish
	for n /= 2; n >= sizeLeast; n /= 2 {
		all = append(all, Publish{Topic: r.Probe, Payload: Sized(n)})
	}
	slices.Reverse(all) // a server that closes at one may end it: small ones first
	for i, a := range t.Ask(ctx, all, true) {
		if a.Passed() {
			most = len(all[i].Payload)
		}
	}
	return most
}

func (r *running) asked(all ...Answer) string {
	for _, a := range all {
		if a.Words {
			return " (asked over MQTT 5)"
		}
	}
	return ""
}
