package uplink

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
	"github.com/linkbeat/linkbeat/build/internal/netlab"
	"github.com/linkbeat/linkbeat/build/internal/pcap"
)

// frozenFor is how long a better server may accept TCP and answer nothing: nobody goes there.
const frozenFor = 30 * time.Second

// returns stops the better of two servers and starts it again, at the end of a path with that round trip. How long it was dark on
// the way back is read from a capture.
func returns(rtt time.Duration) cell {
	name := fmt.Sprintf("primary returns, round trip %v", rtt)
	return cell{name, func(e *kit.Env, id string, t *kit.Table) error {
		s, brokers, err := ranked(e, id, rtt/2)
		if err != nil {
			return err
		}
		defer s.close()
		file, stop, err := s.ways.Capture(e, netlab.Wan0)
		if err != nil {
			return err
		}
		s.play(50, 60)
		e.Sleep(settle)
		if err := brokers[0].Stop(); err != nil { // in order, so that it keeps its subscriber: our books
			return err
		}
		if err := s.upAt(brokers[1].URL(), 20*time.Second); err != nil {
			return err
		}
		if err := brokers[0].Start(); err != nil {
			return err
		}
		before, back := s.status().Uplink, time.Now()
		if err := s.upAt(brokers[0].URL(), holdDownMost); err != nil {
			return err
		}
		t.Info(name+": back after", time.Since(back).Seconds(), "s")
		e.Sleep(settle)
		after := s.status().Uplink
		_ = e.Until("the re-dial to be counted", 20*time.Second, func() bool { // how many there were is a row of the table
			after = s.status().Uplink
			return after.Redials > before.Redials && after.State == "up"
		})
		t.Exactly(name+": drops on the way back", int(after.Drops-before.Drops), 0, "", "a planned re-dial is none")
		t.Exactly(name+": re-dials", int(after.Redials-before.Redials), 1, "", "")
		s.noneLost(t, name)
		if err := stop(); err != nil {
			return err
		}
		dark, measured, err := darkness(file, id)
		if err != nil {
			return err
		}
		t.Info(name+": round trip, measured", measured.Seconds()*1000, "ms")
		t.Within(name+": dark", dark.Seconds()*1000, (measured.Seconds()+0.02)*1000, "ms")
		return nil
	}}
}

// ranked is a site with two mosquittos of different rank, up at the better one.
func ranked(e *kit.Env, id string, delay time.Duration) (*site, []*kit.Broker, error) {
	s, err := newSite(e, id, netlab.WaysOptions{Servers: 2, Delay: delay})
	if err != nil {
		return nil, nil, err
	}
	brokers, err := s.mosquittos()
	if err == nil {
		err = s.start(func(d kit.Doc) {
			d.Set("uplink.servers", []any{
				map[string]any{"url": brokers[0].URL(), "rank": 1}, map[string]any{"url": brokers[1].URL(), "rank": 2},
			})
		})
	}
	if err == nil {
		err = s.upAt(brokers[0].URL(), 10*time.Second)
	}
	if err != nil {
		s.close()
		return nil, nil, err
	}
	return s, brokers, nil
}

// darkness finds the last change of session of a client id in a capture: from our DISCONNECT until the next frame goes out over a
// session that the server has accepted.
func darkness(file, id string) (dark, rtt time.Duration, err error) {
	conns, err := readConns(file)
	if err != nil {
		return 0, 0, err
	}
	var sessions []*pcap.Conn
	for _, c := range conns {
		if c.ClientID() == id && !pcap.First(c.Down, pcap.Connack).IsZero() {
			sessions = append(sessions, c)
		}
	}
	if len(sessions) < 2 {
		return 0, 0, fmt.Errorf("%d sessions in the capture, want two at least", len(sessions))
	}
	before, last := sessions[len(sessions)-2], sessions[len(sessions)-1]
	end, accepted := pcap.First(before.Up, pcap.Disconnect), pcap.First(last.Down, pcap.Connack)
	if end.IsZero() {
		return 0, 0, errors.New("the session before the last ended without DISCONNECT")
	}
	for _, p := range last.Up {
		if p.Type == pcap.Publish && pcap.TopicCause(p.Topic) == "data" && p.At.After(accepted) && !p.At.Before(end) {
			return p.At.Sub(end), last.RTT, nil
		}
	}
	return 0, 0, errors.New("no frame in the last session")
}

func readConns(file string) ([]*pcap.Conn, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("capture: %w", err)
	}
	defer f.Close()
	segments, err := pcap.Read(f)
	if err != nil {
		return nil, err
	}
	conns, _ := pcap.Conns(segments)
	return conns, nil
}

// failsBack lets the better server return as one that accepts TCP and says nothing, and come to its senses later.
func failsBack() cell {
	name := "primary returns, but answers TCP only"
	return cell{name, func(e *kit.Env, id string, t *kit.Table) error {
		s, brokers, err := ranked(e, id, 0)
		if err != nil {
			return err
		}
		defer s.close()
		s.load(flowing)
		if err := brokers[0].Stop(); err != nil { // in order, so that it keeps its subscriber: our books
			return err
		}
		if err := s.upAt(brokers[1].URL(), 20*time.Second); err != nil {
			return err
		}
		if err := brokers[0].Start(); err != nil {
			return err
		}
		if err := brokers[0].Freeze(); err != nil {
			return err
		}
		before := s.status().Uplink
		e.Sleep(frozenFor)
		after := s.status().Uplink
		err = nil
		if after.Server != before.Server || after.Redials != before.Redials || after.Drops != before.Drops ||
			after.State != "up" {
			err = fmt.Errorf("%+v before, %+v after", before, after)
		}
		t.Check(name+": the other one is kept", err)
		if err := brokers[0].Thaw(); err != nil {
			return err
		}
		thawed := time.Now()
		if err := s.upAt(brokers[0].URL(), holdDownMost); err != nil {
			return err
		}
		t.Info(name+": back after it answers", time.Since(thawed).Seconds(), "s")
		s.noneLost(t, name)
		return nil
	}}
}
