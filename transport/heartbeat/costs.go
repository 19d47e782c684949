package heartbeat

import "time"

// What learning costs and how far it goes, unless it was configured or measured: for the link, and for what plans without one,
// such as the check of a configuration.
const (
	DefaultMin     = 20 * time.Second // the beat where nothing is proven yet
	DefaultMax     = 10 * time.Minute // the longest silence that is worth proving
	LeastKeepalive = time.Minute      // the lowest that a CONNECT of ours says
	PlainSession   = 2 << 10          // bytes on the wire of a probe session
	TLSSession     = 8 << 10          // the same with TLS
	FastSessions   = 12               // sessions that [Fast] opens side by side: a burst must pay for all of them
)
