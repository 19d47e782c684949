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
