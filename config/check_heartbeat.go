package config

import "github.com/linkbeat/linkbeat/transport/heartbeat"

func (c *checker) checkHeartbeat() {
	h, u := c.doc.Heartbeat, &c.doc.Uplink
	if h.Interval > u.KeepaliveCeiling {
		c.bad(c.ownOf("heartbeat.interval", "uplink.keepalive_ceiling"),
			"heartbeat.interval (%s) is above uplink.keepalive_ceiling (%s): a beat never exceeds the keepalive [MQTT-3.1.2-23]",
			h.Interval, u.KeepaliveCeiling)
	} else {
		c.belowKeepalive("heartbeat.interval", h.Interval)
	}
	if h.Min > h.Max {
		c.bad(c.ownOf("heartbeat.min", "heartbeat.max"), "heartbeat.min (%s) is above heartbeat.max (%s)", h.Min, h.Max)
	}
	c.checkDetection(h.Interval)
	if !h.ProbeAfter.Auto && h.ProbeAfter.Duration > 7*day {
		c.bad("heartbeat.probe_after", "must be auto or at most 7d")
	}
	if n := h.Probes; !n.Auto && n.N > 64 {
		c.bad("heartbeat.probes", "must be auto or at most 64")
	}
	if b := h.ProbeBudget; b.Burst > b.Month {
		c.bad("heartbeat.probe_budget", "has a burst (%s) above what a month may cost (%s)", b.Burst, b.Month)
	}
	c.template("heartbeat.probe_client_id", h.ProbeClientID, []string{"id", "n"}, false)
	if h.Learn != "off" {
		c.checkLearning(h)
	}
}

// belowKeepalive warns of a beat that the keepalive will cut down.
func (c *checker) belowKeepalive(path string, beat Duration) {
	switch u := &c.doc.Uplink; {
	case !u.Keepalive.Auto && beat > u.Keepalive.Duration:
		c.odd(c.ownOf(path, "uplink.keepalive"), "%s (%s) is above uplink.keepalive (%s): the beat stays at the keepalive",
			path, beat, u.Keepalive.Duration)
	case beat > u.KeepaliveCeiling:
		c.odd(c.ownOf(path, "uplink.keepalive_ceiling"),
			"%s (%s) is above uplink.keepalive_ceiling (%s): the beat stays at the ceiling", path, beat, u.KeepaliveCeiling)
	}
}

func (c *checker) checkLearning(h Heartbeat) {
	c.belowKeepalive("heartbeat.min", h.Min)
	if c.set("heartbeat.max") {
		c.belowKeepalive("heartbeat.max", h.Max)
	}
	if h.WeakMax > h.Max {
		c.odd("heartbeat.weak_max", "is above heartbeat.max (%s), which bounds it", h.Max)
	}
	session := Size(heartbeat.PlainSession)
	if c.doc.Uplink.Encrypted() {
		session = Size(heartbeat.TLSSession)
	}
	switch burst := h.ProbeBudget.AtOnce(); {
	case burst < session:
		c.odd("heartbeat.probe_budget", "does not pay for one probe (%s): nothing will be learnt and the beat stays at "+
			"heartbeat.min (%s); with learn: off it is heartbeat.interval", session, h.Min)
	case h.Learn == "fast" && burst < heartbeat.FastSessions*session:
		c.odd("heartbeat.probe_budget", "may spend %s at once, and learn: fast needs %s: it will learn like thrifty", burst,
			heartbeat.FastSessions*session)
	}
}

// checkDetection compares how long a dead idle link stays unnoticed with how long the broker waits: 1.5 times the keepalive
// [MQTT-3.1.2-24], which with auto follows the beat.
func (c *checker) checkDetection(interval Duration) {
	u := c.doc.Uplink
	keepalive := Duration(u.ConnectKeepalive())
	if u.Keepalive.Auto {
		keepalive = min(keepalive, max(Duration(heartbeat.LeastKeepalive), 2*interval))
	}
	if patience := keepalive * 3 / 2; interval+u.DetectWithin > patience {
		c.odd(c.ownOf("uplink.detect_within", "heartbeat.interval"),
			"a dead idle link is noticed after heartbeat.interval + uplink.detect_within (%s), "+
				"later than the broker gives up (%s)", interval+u.DetectWithin, patience)
	}
}
