package statuspage

import "fmt"

// learnt says for people what is known of the path, and what that has cost.
func learnt(h Heartbeat) []string {
	if h.Phase == "off" {
		return []string{h.Reason}
	}
	proven := "nothing is proven"
	switch {
	case h.Evidence == "weak":
		proven = "pings were answered, which proves little"
	case h.ProvenS > 0:
		proven = "silence of " + seconds(h.ProvenS) + " is proven"
	}
	if h.FailingS > 0 {
		proven += ", " + seconds(h.FailingS) + " fails"
	}
	if h.RememberedS > h.ProvenS {
		proven += ", " + seconds(h.RememberedS) + " is remembered"
	}
	lines := []string{h.Phase + ": " + proven, orText(h.Reason, "-")}
	if h.Path != "" {
		lines = append(lines, "path "+h.Path+kindText(h.PathKind))
	}
	cost := fmt.Sprintf("%d silences tested on %d probe sessions (%d open) for %s, %s left", h.Probes, h.Sessions, h.Open,
		size(h.CostBytes), size(max(0, h.BudgetBytes)))
	if h.Canaries+h.Shrinks > 0 {
		cost += fmt.Sprintf("; %d canaries, %d times shrunk", h.Canaries, h.Shrinks)
	}
	return append(lines, cost)
}

func kindText(kind string) string {
	switch kind {
	case "strict":
		return " is strict: a ping notices when it forgot us"
	case "loose":
		return " is loose: pings are answered though it forgot us"
	}
	return ""
}

func heartbeatMetrics(h Heartbeat) []metric {
	return []metric{
		{"heartbeat_info", "gauge", "What is known of the path, and how.", []sample{{labels("phase", h.Phase, "path", h.Path,
			"kind", h.PathKind, "evidence", h.Evidence), 1}}},
		one("heartbeat_interval_seconds", "gauge", "The beat.", h.IntervalS),
		one("heartbeat_proven_seconds", "gauge", "Longest silence that three connections survived; 0: none.", h.ProvenS),
		one("heartbeat_failing_seconds", "gauge", "Shortest silence that failed; 0: none.", h.FailingS),
		one("heartbeat_remembered_seconds", "gauge", "What an earlier connection on this path had proven; 0: none.", h.RememberedS),
		one("heartbeat_pings_total", "counter", "Pings sent.", float64(h.Pings)),
		one("heartbeat_probes_total", "counter", "Silences tested.", float64(h.Probes)),
		one("heartbeat_probe_sessions_total", "counter", "Probe sessions opened.", float64(h.Sessions)),
		one("heartbeat_probe_sessions_open", "gauge", "Probe sessions now.", float64(h.Open)),
		one("heartbeat_probe_bytes_total", "counter", "Bytes on the wire that probe sessions have cost.", float64(h.CostBytes)),
		one("heartbeat_probe_budget_bytes", "gauge", "Bytes that probes may still cost now.", float64(h.BudgetBytes)),
		one("heartbeat_canaries_total", "counter", "Tests whether a proven silence still is.", float64(h.Canaries)),
		one("heartbeat_shrinks_total", "counter", "Times that a proven silence failed.", float64(h.Shrinks)),
	}
}
