package statuspage

import "maps"

func (u *Uplink) fields() (t table) {
	t.gauge("since_seconds", "Unix time since when the uplink is in its state.", float64(u.Since)/1000)
	t.counter("drops_total", "Connections lost.", &u.Drops)
	t.counter("redials_total", "Connections replaced on purpose.", &u.Redials)
	t.gauge("rtt_seconds", "Smoothed round trip of the pings.", u.RTTS)
	t.gauge("worst_detect_seconds", "A dead idle link is noticed within this.", u.WorstDetectS)
	t.gauge("keepalive_seconds", "What CONNECT said.", u.KeepaliveS)
	t.gauge("in_flight", "Publishes not acknowledged yet.", float64(u.InFlight))
	t.counter("unacknowledged_total", "Publishes not acknowledged, though later ones were.", &u.Unacknowledged)
	t.hidden(&u.Session)
	t.hidden(&u.Oversized)
	return t
}

func (h *Heartbeat) fields() (t table) {
	t.gauge("interval_seconds", "The beat.", h.IntervalS)
	t.gauge("proven_seconds", "Longest silence that three connections survived; 0: none.", h.ProvenS)
	t.gauge("failing_seconds", "Shortest silence that failed; 0: none.", h.FailingS)
	t.gauge("remembered_seconds", "What an earlier connection on this path had proven; 0: none.", h.RememberedS)
	t.counter("pings_total", "Pings sent.", &h.Pings)
	t.counter("probes_total", "Silences tested.", &h.Probes)
	t.counter("probe_sessions_total", "Probe sessions opened.", &h.Sessions)
	t.gauge("probe_sessions_open", "Probe sessions now.", float64(h.Open))
	t.counter("probe_bytes_total", "Bytes on the wire that probe sessions have cost.", &h.CostBytes)
	t.gauge("probe_budget_bytes", "Bytes that probes may still cost now.", float64(h.BudgetBytes))
	t.counter("canaries_total", "Tests whether a proven silence still is.", &h.Canaries)
	t.counter("shrinks_total", "Times that a proven silence failed.", &h.Shrinks)
	return t
}

func (s *Spool) fields() (t table) {
	t.counter("accepted_total", "Records taken.", &s.Accepted)
	t.counter("recovered_total", "Records found on disk at the start.", &s.Recovered)
	t.counter("acked_total", "Records acknowledged.", &s.Acked)
	t.counter("evicted_total", "Records dropped: full, too old or rotten.", &s.Evicted)
	t.counter("poison_total", "Records that could never be published.", &s.Poison)
	t.gauge("waiting", "Records waiting.", float64(s.Waiting))
	t.gauge("bytes", "Bytes waiting.", float64(s.Bytes))
	t.gauge("oldest_seconds", "Age of the oldest record.", s.OldestS)
	t.counter("written_bytes_total", "Bytes written to the flash.", &s.WrittenBytes)
	return t
}

func (d *Serial) fields() (t table) {
	t.gauge("open", "1 while the port is open.", boolean(d.State == "open"))
	t.counter("read_bytes_total", "Bytes read.", &d.Read)
	t.counter("in_frames_bytes_total", "Bytes that became frames.", &d.InFrames)
	t.counter("delimiters_bytes_total", "Bytes that were delimiters.", &d.Delimiters)
	t.counter("bad_bytes_total", "Bytes that belonged to no frame.", &d.Bad)
	t.counter("bad_frames_total", "Stretches of such bytes.", &d.BadFrames)
	t.gauge("pending_bytes", "Bytes of a frame that is not whole yet.", float64(d.Pending))
	t.counter("framed_total", "Frames read.", &d.Framed)
	t.counter("accepted_total", "Frames taken by the spool.", &d.Accepted)
	t.counter("refused_total", "Frames refused by the spool.", &d.Refused)
	t.counter("written_bytes_total", "Bytes written by commands.", &d.Written)
	t.counter("opens_total", "Times the port was opened.", &d.Opens)
	t.gauge("line_errors_total", "Errors of framing, parity, overruns and breaks that the driver counted.",
		float64(d.LineErrors.Sum())) // a counter: Add has its parts
	t.hidden(&d.NotUTF8)
	return t
}

func (u *Unit) fields() (t table) {
	t.gauge("live", "1 while the unit answers.", boolean(u.State == "live"))
	t.counter("polls_total", "Polls of the unit.", &u.Polls)
	t.counter("timeouts_total", "Reads and writes that it did not answer in time.", &u.Timeouts)
	t.counter("bad_answers_total", "Answers that make no sense.", &u.BadAnswers)
	t.counter("exceptions_total", "Exceptions that it answered.", &u.Exceptions)
	return t
}

func (c *Commands) fields() (t table) {
	t.counter("received_total", "Commands that arrived.", &c.Received)
	t.counter("done_total", "Commands written and drained.", &c.Done)
	t.counter("failed_total", "Commands that failed at the device.", &c.Failed)
	t.counter("refused_total", "Commands not carried out, nothing written.", &c.Refused)
	t.counter("overflowed_total", "Commands not even answered: too many at once.", &c.Overflowed)
	t.counter("unanswered_total", "Commands refused without an answer.", &c.Unanswered)
	t.gauge("running", "Commands on their way to a device.", float64(c.Running))
	return t
}

// Add adds the counters of an uplink that has ended; what is no counter stays.
func (u *Uplink) Add(ended Uplink) {
	add(u.fields(), ended.fields())
	if u.Losses == nil {
		u.Losses = maps.Clone(ended.Losses)
		return
	}
	for how, n := range ended.Losses {
		u.Losses[how] += n
	}
}

// Add adds the counters of a beat that has ended; what is no counter stays.
func (h *Heartbeat) Add(ended Heartbeat) { add(h.fields(), ended.fields()) }

// Add adds the counters of a spool that was closed; what is no counter stays.
func (s *Spool) Add(closed Spool) { add(s.fields(), closed.fields()) }

// Add adds the counters of a downlink that has ended; what is no counter stays.
func (c *Commands) Add(ended Commands) { add(c.fields(), ended.fields()) }

// Add adds the counters of a device that has ended; what is no counter stays.
func (d *Serial) Add(ended Serial) {
	add(d.fields(), ended.fields())
	d.LineErrors = d.LineErrors.Plus(ended.LineErrors)
}
