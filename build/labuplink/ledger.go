package labuplink

import (
	"fmt"
	"math"
	"os"
	"slices"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
	"github.com/linkbeat/linkbeat/build/internal/pcap"
	"github.com/linkbeat/linkbeat/build/lab"
)

const (
	totalWithin = 3.0  // percent
	causeWithin = 10.0 // percent, of each cause above countsFrom of the total
	countsFrom  = 0.01
	ledgerLoss  = 2 // percent of packets, so that there are retransmissions
	busy        = 10 * time.Second
	calm        = 18 * time.Second
)

// headerCauses are what /status books that is no payload: the capture cannot tell these apart.
func headerCauses() []string { return []string{"headers", "overhead", "keepalive", "retransmissions"} }

// ledger compares what /status says the wire carried with what tcpdump saw at the other end of the cable: frames, commands, pings, a
// few probes, a broker that restarts halfway, and lost packets.
func ledger(d time.Duration) cell {
	name := fmt.Sprintf("ledger, %v of mixed traffic", d)
	return cell{name, func(e *kit.Env, id string, t *kit.Table) error {
		s, err := newSite(e, id, lab.WaysOptions{Servers: 1})
		if err != nil {
			return err
		}
		defer s.close()
		b, err := s.mosquitto(s.ways.ServerIPs[0])
		if err != nil {
			return err
		}
		if err := s.ways.Lose(ledgerLoss); err != nil {
			return err
		}
		file, stop, err := s.ways.Capture(e, lab.Wan0)
		if err != nil {
			return err
		}
		err = s.start(func(d kit.Doc) {
			d.Set("heartbeat.learn", "fast").Set("heartbeat.min", "1s").Set("heartbeat.max", "2s").Set("heartbeat.probe_after", "0s").
				Set("heartbeat.probe_budget", map[string]any{"month": "64MiB", "burst": "16MiB"})
		}, b.URL())
		if err != nil {
			return err
		}
		if err := s.mixed(b, d); err != nil {
			return err
		}
		st, err := s.agent.Status()
		if err != nil {
			return err
		}
		asked := time.Now()
		e.Sleep(time.Second) // tcpdump writes what it has
		if err := stop(); err != nil {
			return err
		}
		return judge(t, name, file, id, asked, st.Bytes)
	}}
}

// mixed is frames, a command, and silence, again and again; the broker restarts once.
func (s *site) mixed(b *kit.Broker, d time.Duration) error {
	start, restarted := time.Now(), false
	for time.Since(start) < d-(busy+calm)/2 {
		s.play(1, 60)
		s.e.Sleep(busy)
		s.quiet()
		if err := s.commands(1); err != nil {
			return err
		}
		s.e.Sleep(calm)
		if restarted || time.Since(start) < d/3 { // not at once: a session that was short is taken for a kick
			continue
		}
		restarted = true
		if err := b.Stop(); err != nil {
			return err
		}
		if err := b.Start(); err != nil {
			return err
		}
		if err := s.upAt(b.URL(), time.Minute); err != nil {
			return err
		}
	}
	s.e.Sleep(beat)
	return nil
}

// judge adds the rows: the ledger's bytes against the capture's, up to the moment when the ledger was asked.
func judge(t *kit.Table, name, file, id string, until time.Time, ledger map[string]int64) error {
	seen, err := sorted(file, id, until)
	if err != nil {
		return err
	}
	said := pcap.Causes{}
	for cause, n := range ledger {
		if slices.Contains(headerCauses(), cause) {
			cause = "headers"
		}
		said[cause] += n
	}
	total := float64(seen.Sum())
	t.Info(name+": bytes in the capture", total, "bytes")
	t.AtMost(name+": total, off by", off(said.Sum(), seen.Sum()), totalWithin, "%")
	causes := []string{"headers", "handshake", "ping", "data", "cmd", "probe", "log", "config"}
	for cause := range seen {
		if !slices.Contains(causes, cause) {
			return fmt.Errorf("the capture has bytes for %q, which this table does not know", cause)
		}
	}
	for _, cause := range causes {
		row := fmt.Sprintf("%s: %s (%.1f %%), off by", name, cause, 100*float64(seen[cause])/total)
		if float64(max(seen[cause], said[cause])) > countsFrom*total {
			t.AtMost(row, off(said[cause], seen[cause]), causeWithin, "%")
		} else {
			t.Info(row, off(said[cause], seen[cause]), "%")
		}
	}
	return nil
}

// off is how far a is from b, in percent of b.
func off(a, b int64) float64 {
	if a == b {
		return 0
	}
	return 100 * math.Abs(float64(a-b)) / max(1, float64(b))
}

func sorted(file, id string, until time.Time) (pcap.Causes, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("capture: %w", err)
	}
	defer f.Close()
	segments, err := pcap.Read(f)
	if err != nil {
		return nil, err
	}
	segments = slices.DeleteFunc(segments, func(s pcap.Segment) bool { return s.At.After(until) })
	conns, stray := pcap.Conns(segments)
	if stray > 0 {
		return nil, fmt.Errorf("capture: %d bytes of connections whose beginning was not seen", stray)
	}
	return pcap.Sort(conns, id, pcap.TopicCause), nil
}
