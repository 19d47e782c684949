package heartbeat

import "time"

// Constants of RFC 6298: the gains of section 2 and the initial timeout of (2.1), which is also the floor of (2.4).
const (
	srttGain    = 8 // alpha = 1/8
	rttvarGain  = 4 // beta = 1/4
	rttvarTimes = 4 // K
	minTimeout  = time.Second
)

// maxTimeoutShare bounds the timeout to this part of DetectWithin, so that a link is called late, and asked again, well
// before it is called dead.
const maxTimeoutShare = 4

// rtt estimates the round trip and the timeout that follows from it, as RFC 6298 does.
type rtt struct {
	srtt, rttvar time.Duration // 0: no sample yet
	timeout      time.Duration
	max          time.Duration
}

func newRTT(detectWithin time.Duration) rtt {
	r := rtt{max: max(detectWithin/maxTimeoutShare, 1)}
	r.timeout = r.clamp(minTimeout)
	return r
}

// sample takes a round trip that was measured without a repeat in between (Karn's rule, RFC 6298 section 3).
func (r *rtt) sample(d time.Duration) {
	d = max(d, 0)
	if r.srtt == 0 {
		r.srtt, r.rttvar = d, d/2
	} else {
		r.rttvar += ((r.srtt - d).Abs() - r.rttvar) / rttvarGain
		r.srtt += (d - r.srtt) / srttGain
	}
	r.timeout = r.clamp(r.srtt + rttvarTimes*r.rttvar)
}

// backOff doubles the timeout (5.5); it stays so until the next sample.
func (r *rtt) backOff() { r.timeout = r.clamp(2 * r.timeout) }

func (r *rtt) clamp(d time.Duration) time.Duration { return min(max(d, minTimeout), r.max) }
