package diagnose

import (
	"context"
	"fmt"
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
	s, start := Step{Name: StepSize}, time.Now()
	a := t.Size(ctx, SizeQuestion{Topic: r.Probe, Payload: Sized(n), Probe: r.Probe, Known: sizeLeast})
	if ctx.Err() != nil {
		return
	}
	r.lasting = r.lasting && a.Err != nil // its session was a clean one
	s.Text = fmt.Sprintf("a message of %d bytes passes", n)
	switch {
	case a.Err != nil:
		s.Verdict, s.Text = EchoUnknown, "could not be asked: "+faultText(a.Err)
	case a.Refused:
		s.Fault, s.Text = FaultSize, fmt.Sprintf("a message of %d bytes %s", n, a.Why)
		if a.Passes > 0 {
			s.Text += fmt.Sprintf("; one of %d passes", a.Passes)
		}
	case !a.Passed:
		s.Text = fmt.Sprintf("not known: small messages on %s do not pass to us either", r.Probe)
	}
	if !t.old && a.Err == nil {
		s.Text += overMQTT5
	}
	s.Took = time.Since(start)
	r.step(s)
}

const overMQTT5 = " (asked over MQTT 5)"
