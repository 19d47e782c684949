package uplink

import (
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
	"github.com/linkbeat/linkbeat/build/internal/netlab"
	"github.com/linkbeat/linkbeat/build/internal/pcap"
)

const (
	segment     = 52   // bytes of IPv4, TCP and its timestamps
	segmentsOff = 2    // of each connection: the ledger can only guess how the last one of its socket's segments look
	totalWithin = 3.0  // percent
	causeWithin = 10.0 // percent, of each cause above countsFrom of the total
	countsFrom  = 0.01
	ledgerLoss  = 2 // percent of packets, so that there are retransmissions
	busy        = 10 * time.Second
	calm        = 18 * time.Second
)

// headerCauses are what /status books that is no payload: the capture cannot tell these apart.
func headerCauses() []string { return []string{"headers", "overhead", "keepalive", "retransmissions"} }

// ledger compares what /status says the wire carried with what tcpdump saw at the other end of the cable: frames, commands,
// pings, a few probes, a broker that restarts halfway, and lost packets. A long run is judged by shares, as a data plan is paid;
// a short one has too little of everything for that, and is judged by values: every byte of a stream must be under its cause.
func ledger(d time.Duration, judge func(name string, seen, said pcap.Causes, conns int, t *kit.Table)) cell {
	name := fmt.Sprintf("ledger, %v of mixed traffic", d)
	return cell{name, func(e *kit.Env, id string, t *kit.Table) error {
		s, err := newSite(e, id, netlab.WaysOptions{Servers: 1})
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
		file, stop, err := s.ways.Capture(e, netlab.Wan0)
		if err != nil {
			return err
		}
		err = s.start(func(d kit.Doc) {
			d.Set("heartbeat.learn", "fast").Set("heartbeat.min", "1s").Set("heartbeat.max", "2s").
				Set("heartbeat.probe_after", "0s").
				Set("heartbeat.probe_budget", map[string]any{"month": "64MiB", "burst": "16MiB"})
		}, b.URL())
		if err != nil {
			return err
		}
		if err := s.mixed(b, d); err != nil {
			return err
		}
		said, asked, err := s.standstill()
		if err != nil {
			return err
		}
		if err := stop(); err != nil {
			return err
		}
		seen, conns, err := sorted(file, id, asked)
		if err != nil {
			return err
		}
		judge(name, seen, causesOf(said), conns, t)
		return nil
	}}
}

// standstill reads the ledger while it stands still, and tells when that was: what is on its way while /status is asked would be
// in one of the two books only.
func (s *site) standstill() (said map[string]int64, at time.Time, err error) {
	const still = 200 * time.Millisecond
	err = s.e.Until("the ledger to stand still", time.Minute, func() bool {
		first, err := s.agent.Status()
		if err != nil {
			return false
		}
		s.e.Sleep(still / 2)
		at = time.Now()
		s.e.Sleep(still / 2)
		second, err := s.agent.Status()
		if err != nil {
			return false
		}
		said = second.Bytes
		return maps.Equal(first.Bytes, second.Bytes)
	})
	return said, at, err
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

// causesOf is the ledger of /status by the causes that a capture can tell apart.
func causesOf(ledger map[string]int64) pcap.Causes {
	said := pcap.Causes{}
	for cause, n := range ledger {
		if slices.Contains(headerCauses(), cause) {
			cause = "headers"
		}
		said[cause] += n
	}
	return said
}

// streamCauses are those of the bytes of streams.
func streamCauses() []string {
	return []string{"handshake", "ping", "data", "cmd", "probe", "log", "config"}
}

// byValue wants every byte of the streams under its cause, and headers that are right but for how connections end.
// Without TLS nothing is overhead.
func byValue(name string, seen, said pcap.Causes, conns int, t *kit.Table) {
	t.Info(name+": bytes in the capture", float64(seen.Sum()), "bytes")
	for _, cause := range streamCauses() {
		note := ""
		if said[cause] != seen[cause] {
			note = fmt.Sprintf("said %v, seen %v", said, seen)
		}
		t.Exactly(fmt.Sprintf("%s: %s (%d bytes), off by", name, cause, seen[cause]), int(said[cause]-seen[cause]), 0,
			"bytes", note)
	}
	off := math.Abs(float64(said["headers"]-seen["headers"])) / segment / float64(conns)
	t.AtMost(fmt.Sprintf("%s: headers (%d bytes, %d connections), off by", name, seen["headers"], conns), off, segmentsOff,
		"segments a connection")
}

// byShare wants the total and every cause that counts to be right within some percent.
func byShare(name string, seen, said pcap.Causes, _ int, t *kit.Table) {
	total := float64(seen.Sum())
	t.Info(name+": bytes in the capture", total, "bytes")
	t.AtMost(name+": total, off by", off(said.Sum(), seen.Sum()), totalWithin, "%")
	for _, cause := range append([]string{"headers"}, streamCauses()...) {
		row := fmt.Sprintf("%s: %s (%.1f %%), off by", name, cause, 100*float64(seen[cause])/total)
		if float64(max(seen[cause], said[cause])) > countsFrom*total {
			t.AtMost(row, off(said[cause], seen[cause]), causeWithin, "%")
		} else {
			t.Info(row, off(said[cause], seen[cause]), "%")
		}
	}
}

// off is how far a is from b, in percent of b.
func off(a, b int64) float64 {
	if a == b {
		return 0
	}
	return 100 * math.Abs(float64(a-b)) / max(1, float64(b))
}

// sorted reads a capture up to a time, and counts its connections.
func sorted(file, id string, until time.Time) (pcap.Causes, int, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, 0, fmt.Errorf("capture: %w", err)
	}
	defer f.Close()
	segments, err := pcap.Read(f)
	if err != nil {
		return nil, 0, err
	}
	segments = slices.DeleteFunc(segments, func(s pcap.Segment) bool { return s.At.After(until) })
	conns, stray := pcap.Conns(segments)
	if stray > 0 {
		return nil, 0, fmt.Errorf("capture: %d bytes of connections whose beginning was not seen", stray)
	}
	seen := pcap.Sort(conns, id, pcap.TopicCause)
	for cause := range seen {
		if cause != "headers" && !slices.Contains(streamCauses(), cause) {
			return nil, 0, fmt.Errorf("the capture has bytes for %q, which this table does not know", cause)
		}
	}
	return seen, len(conns), nil
}
