package mcu

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// telemetry watches the sentences for a while.
func (s *scene) telemetry(t *kit.Table) error {
	s.Env.Sleep(s.o.Watch)
	got, tally, err := s.arrived()
	if err != nil {
		return err
	}
	numbers := counters(got)
	holes := 0
	for i, n := range numbers {
		if n != i+1 { // the first is 1: it was said before the gateway had started
			holes++
		}
	}
	bad := 0
	for _, g := range got {
		if !sound(g) {
			bad++
		}
	}
	status, err := s.Agent.Status()
	if err != nil {
		return err
	}
	t.NoSlower("telemetry: sentences that arrived", float64(len(numbers)), 80*s.o.Watch.Seconds(), "")
	t.Exactly("telemetry: numbers missing, doubled or out of order, from the reset on", holes, 0, "", "")
	t.Exactly("telemetry: sentences with a wrong checksum at the subscriber", bad, 0, "", "")
	t.Exactly("telemetry: bytes that the gateway counts as bad", int(status.Serial[sentences].Bad), 0, "", "")
	return clocks(tally, t)
}

// clocks compares the agent's time of the first byte with the microcontroller's own clock, from one sentence to the next: over
// minutes that clock falls behind, because qemu merges ticks that come too late.
func clocks(tally *kit.Tally, t *kit.Table) error {
	var apart []int64
	var ts, uptime int64
	for _, r := range tally.Records {
		var n, now int64
		if _, err := fmt.Sscanf(*r.Text, "$LBMCU,%d,%d*", &n, &now); err != nil {
			continue
		}
		if !r.Late && ts > 0 {
			apart = append(apart, max(r.TS-ts-now+uptime, ts+now-r.TS-uptime))
		}
		ts, uptime = r.TS, now
	}
	if len(apart) < 10 { // how many a busy machine lets through in this time says nothing
		return fmt.Errorf("only %d sentences of telemetry", len(apart))
	}
	slices.Sort(apart)
	t.Info("telemetry: from one ts to the next against the microcontroller's clock, apart, 99 of 100 at most",
		float64(apart[len(apart)*99/100]), "ms")
	return nil
}

// commands change the microcontroller's state, by linkbeatctl, while telemetry goes on.
func (s *scene) commands(t *kit.Table) error {
	for _, led := range []uint32{0x55, 0xaa, 0} {
		if err := s.send(sentences, fmt.Sprintf("$LBSET,LED,%d", led)); err != nil {
			return err
		}
		t.Check(fmt.Sprintf("linkbeatctl send: the LEDs become %#x, read by qemu's monitor", led), s.board.lit(led))
		t.Check(fmt.Sprintf("linkbeatctl send: the answer for %#x arrives among the telemetry", led),
			s.hears(fmt.Sprintf("$LBACK,LED,%d*", led)))
	}
	if err := s.send(sentences, "$LBSET,FUSE,1"); err != nil {
		return err
	}
	t.Check("what the microcontroller does not know it refuses", s.hears("$LBNAK,WHAT*"))
	if err := s.board.write(sentences, []byte("$LBSET,LED,9*00\r\n")); err != nil {
		return err
	}
	t.Check("a sentence with a wrong checksum, past the gateway, it refuses", s.hears("$LBNAK,SUM*"))
	return s.silent(t)
}

// silent stops the telemetry: then the next frame is the answer to a request, and the count can be compared.
func (s *scene) silent(t *kit.Table) error {
	if err := s.send(sentences, "$LBSET,PERIOD,0"); err != nil {
		return err
	}
	if err := s.hears("$LBACK,PERIOD,0*"); err != nil {
		return err
	}
	r, _, err := s.Command(sentences, "request", map[string]any{"text": "$LBGET,COUNT", "timeout": "2s"})
	if err != nil {
		return err
	}
	got, _, err := s.arrived()
	if err != nil {
		return err
	}
	want := fmt.Sprintf("$LBVAL,COUNT,%d*", len(counters(got)))
	if !r.OK || len(r.Text) < len(want) || r.Text[:len(want)] != want {
		err = fmt.Errorf("%+v, want %s", r, want)
	}
	t.Check("a request on the line of sentences: the microcontroller counts as many as arrived", err)
	return s.send(sentences, "$LBSET,PERIOD,10")
}

// hears waits for a sentence of the microcontroller at the subscriber.
func (s *scene) hears(begin string) error {
	return s.Env.Until(begin, 5*time.Second, func() bool {
		got, _, err := s.arrived()
		return err == nil && slices.ContainsFunc(got,
			func(g string) bool { return len(g) > len(begin) && g[:len(begin)] == begin })
	})
}

// spoil is how many sentences the microcontroller is asked to spoil.
const spoil = 5

// spoiled shows that the gateway looks at checksums.
func (s *scene) spoiled(t *kit.Table) error {
	if err := s.send(sentences, fmt.Sprintf("$LBSET,SPOIL,%d", spoil)); err != nil {
		return err
	}
	var sent book
	err := s.Env.Until("spoiled sentences", 5*time.Second, func() bool {
		var err error
		sent, err = s.board.book()
		return err == nil && sent.wrong == spoil
	})
	if err != nil {
		return err
	}
	var bad int64
	err = s.Env.Until("the gateway to have counted them", 5*time.Second, func() bool {
		status, err := s.Agent.Status()
		if err == nil {
			bad = status.Serial[sentences].Bad
		}
		return bad >= int64(sent.wrongLen)
	})
	t.Exactly(fmt.Sprintf("%d sentences with a wrong checksum: bytes counted as bad too much or too little", spoil),
		int(bad)-sent.wrongLen, 0, "", "")
	return err
}

// frames asks the lines with COBS and SLIP: echoes of every size, a value that stays, and frames with a wrong checksum.
func (s *scene) frames(t *kit.Table) error {
	for _, line := range []string{cobs, slip} {
		end := map[string]string{cobs: "\x00", slip: "\xc0"}[line]
		var took []time.Duration
		wrong := 0
		for i := range s.o.Requests {
			p := append([]byte{'E'}, nasty(i)...)
			r, d, err := s.ask(line, p)
			if err != nil {
				return err
			}
			if r != hex.EncodeToString(p) {
				wrong++
			}
			took = append(took, d)
		}
		slices.Sort(took)
		t.Exactly(line+": echoes of 2 to 1024 bytes that were not the same", wrong, 0, fmt.Sprintf("of %d", len(took)), "")
		t.Info(line+": from the request to its answer at the broker, median", ms(took[len(took)/2]), "ms")
		t.Info(line+": from the request to its answer at the broker, worst", ms(took[len(took)-1]), "ms")
		if err := s.send(line, "S\x12\x34"); err != nil {
			return err
		}
		// The answer to a write is a frame like any other; a request that is under way when it comes would take it for its own.
		t.Check(line+": the answer to linkbeatctl send arrives as a frame", s.publishes(line, "531234"))
		t.Check(line+": the value that it has set is read back", s.says(line, "G", "471234"))
		if err := s.board.write(line, []byte("\x05Sabcd"+end)); err != nil { // no frame of either kind
			return err
		}
		t.Check(line+": noise past the gateway is counted by the microcontroller and changes nothing",
			s.says(line, "B", "4200000001"))
		t.Check(line+": the value is still there", s.says(line, "G", "471234"))
		t.Check(line+": what the microcontroller does not know it says so", s.says(line, "Z", "3f5a"))
		t.Check(line+": each command was carried out once", s.says(line, "C", fmt.Sprintf("43%08x", s.o.Requests+6)))
	}
	return nil
}

// nasty are bytes in which what framing must stuff is frequent, of sizes around the blocks of COBS first.
func nasty(i int) []byte {
	sizes := []int{1, 2, 250, 251, 252, 253, 254, 255, 505, 506, 507, 508, 509, 1000}
	n := 1 + rand.IntN(1023)
	if i < len(sizes) {
		n = sizes[i]
	}
	special := []byte{0, 0xc0, 0xdb, 0xdc, 0xdd, 0xff}
	p := make([]byte, n)
	for j := range p {
		p[j] = byte(1 + rand.IntN(255))
		if i%3 == 1 && rand.IntN(2) == 0 {
			p[j] = special[rand.IntN(len(special))]
		}
	}
	if i%7 == 6 {
		return bytes.Repeat(special[i%len(special):i%len(special)+1], n)
	}
	return p
}

// ask sends a request and returns the answer's hex digits.
func (s *scene) ask(line string, p []byte) (string, time.Duration, error) {
	r, took, err := s.Command(line, "request", map[string]any{"hex": hex.EncodeToString(p), "timeout": "5s"})
	if err == nil && !r.OK {
		err = fmt.Errorf("request of %d bytes to %s: %s: %s", len(p), line, r.Error, r.Detail)
	}
	return r.Hex, took, err
}

// says asks and compares.
func (s *scene) says(line, request, want string) error {
	got, _, err := s.ask(line, []byte(request))
	if err == nil && got != want {
		err = fmt.Errorf("%s: %q is answered %s, want %s", line, request, got, want)
	}
	return err
}

// publishes waits for a frame with these hex digits at the subscriber.
func (s *scene) publishes(line, digits string) error {
	return s.Env.Until("frame "+digits, 5*time.Second, func() bool {
		tally, err := kit.Count(s.Books.Arrivals(s.Agent.Topic("up/data/" + line)))
		return err == nil && slices.ContainsFunc(tally.Records,
			func(f kit.Frame) bool { return f.Hex != nil && *f.Hex == digits })
	})
}
