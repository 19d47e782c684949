package kit

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// Status is what `GET /status` says, as far as the tests look at it.
type Status struct {
	Uplink struct {
		State        string  `json:"state"`
		Server       string  `json:"server"`
		Since        int64   `json:"since"`
		Drops        int64   `json:"drops"`
		WorstDetectS float64 `json:"worst_detect_s"`
		Redials      int64   `json:"redials"`
		Interface    string  `json:"interface"`
	} `json:"uplink"`
	Heartbeat struct {
		IntervalS float64 `json:"interval_s"`
		ProvenS   float64 `json:"proven_s"`
		FailingS  float64 `json:"failing_s"`
		Phase     string  `json:"phase"`
		PathKind  string  `json:"path_kind"`
		Reason    string  `json:"reason"`
		Path      string  `json:"path"`
		Evidence  string  `json:"evidence"`
		Sessions  int64   `json:"sessions"`

		RememberedS float64 `json:"remembered_s"`

		Probes    int64 `json:"probes"`
		CostBytes int64 `json:"cost_bytes"`
		Pings     int64 `json:"pings"`
	} `json:"heartbeat"`
	Bytes  map[string]int64        `json:"bytes"`
	Spool  SpoolStatus             `json:"spool"`
	Serial map[string]DeviceStatus `json:"serial"`
	Facts  map[string]string       `json:"facts"`
	Why    string                  `json:"why"`
}

// SpoolStatus counts records since the start of the agent.
type SpoolStatus struct {
	Accepted     int64 `json:"accepted"`
	Recovered    int64 `json:"recovered"`
	Acked        int64 `json:"acked"`
	Waiting      int64 `json:"waiting"`
	Evicted      int64 `json:"evicted"`
	Poison       int64 `json:"poison"`
	WrittenBytes int64 `json:"written_bytes"`
}

// DeviceStatus counts bytes (Read … Pending) and frames (Framed, Refused) of a device.
type DeviceStatus struct {
	State      string `json:"state"`
	Read       int64  `json:"read"`
	InFrames   int64  `json:"in_frames"`
	Delimiters int64  `json:"delimiters"`
	Bad        int64  `json:"bad"`
	Pending    int64  `json:"pending"`
	Framed     int64  `json:"framed"`
	Accepted   *int64 `json:"accepted"`
	Refused    int64  `json:"refused"`

	Units     map[string]UnitStatus `json:"units"` // of a Modbus bus
	IdleWaitS float64               `json:"idle_wait_s"`
}

// UnitStatus is one slave on a Modbus bus.
type UnitStatus struct {
	State      string `json:"state"`
	Polls      int64  `json:"polls"`
	Timeouts   int64  `json:"timeouts"`
	BadAnswers int64  `json:"bad_answers"`
	Why        string `json:"why"`
}

// Imbalance checks the documented equations; empty when every counter balances.
func (s *Status) Imbalance() string {
	sp := s.Spool
	if in, out := sp.Accepted+sp.Recovered, sp.Acked+sp.Waiting+sp.Evicted+sp.Poison; in != out {
		return fmt.Sprintf("spool: accepted %d + recovered %d = %d, but acked %d + waiting %d + evicted %d + poison %d = %d",
			sp.Accepted, sp.Recovered, in, sp.Acked, sp.Waiting, sp.Evicted, sp.Poison, out)
	}
	for name, d := range s.Serial {
		if sum := d.InFrames + d.Delimiters + d.Bad + d.Pending; d.Read != sum {
			return fmt.Sprintf("device %q: read %d, but in_frames %d + delimiters %d + bad %d + pending %d = %d",
				name, d.Read, d.InFrames, d.Delimiters, d.Bad, d.Pending, sum)
		}
		if d.Accepted != nil && d.Framed != *d.Accepted+d.Refused {
			return fmt.Sprintf("device %q: framed %d, but accepted %d + refused %d", name, d.Framed, *d.Accepted, d.Refused)
		}
	}
	return ""
}

func getStatus(client *http.Client, url string) (*Status, []byte, error) {
	resp, err := client.Get(url)
	if err != nil {
		return nil, nil, fmt.Errorf("status: %w", err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, nil, fmt.Errorf("status: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, b, fmt.Errorf("status: %s: %.200s", resp.Status, b)
	}
	s := &Status{}
	if err := json.Unmarshal(b, s); err != nil {
		return nil, b, fmt.Errorf("status: %w: %.400s", err, b)
	}
	return s, b, nil
}
