package framing

import (
	"bytes"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// SiRF and RTCM3 as a configuration says them.
func sirfSpec() Spec {
	return Spec{Type: "length", Header: []byte{0xa0, 0xa2}, Offset: 2, Width: 2, Mask: 0x7fff, Trailer: []byte{0xb0, 0xb3},
		Checksum: "sum15", SumFrom: 4, Keep: true}
}

func rtcmSpec() Spec {
	return Spec{Type: "length", Header: []byte{0xd3}, Offset: 1, Width: 2, Mask: 0x03ff, Checksum: "crc24q", Keep: true}
}

// sirfParser is the protocol in the plainest way, independent of the framer: the frame that p begins with.
func sirfParser(p []byte) []byte {
	if len(p) < 8 || p[0] != 0xa0 || p[1] != 0xa2 {
		return nil
	}
	n, sum := int(p[2]&0x7f)*256+int(p[3]), 0
	if len(p) < n+8 {
		return nil
	}
	for _, b := range p[4 : 4+n] {
		sum = (sum + int(b)) % 32768
	}
	if sum != int(p[4+n])*256+int(p[5+n]) || p[6+n] != 0xb0 || p[7+n] != 0xb3 {
		return nil
	}
	return p[:n+8]
}

// rtcmParser divides bit by bit, as the standard draws it.
func rtcmParser(p []byte) []byte {
	if len(p) < 6 || p[0] != 0xd3 {
		return nil
	}
	n := int(p[1]&3)*256 + int(p[2]) + 6
	if len(p) < n {
		return nil
	}
	rest := 0
	for _, b := range p[:n] {
		for bit := 7; bit >= 0; bit-- {
			top := rest >> 23 & 1
			rest = rest<<1&0xffffff | int(b)>>bit&1
			if top == 1 {
				rest ^= 0x864cfb
			}
		}
	}
	if rest != 0 { // the whole frame is a multiple of the polynomial
		return nil
	}
	return p[:n]
}

// nmeaParser takes the line that p begins with, when it is a sentence.
func nmeaParser(p []byte) []byte {
	text, _, ok := strings.Cut(string(p), "\n")
	text = strings.TrimSuffix(text, "\r")
	body, check, star := strings.Cut(text, "*")
	if !ok || !star || body == "" || body[0] != '$' && body[0] != '!' {
		return nil
	}
	want, err := strconv.ParseUint(check, 16, 8)
	for _, c := range []byte(body[1:]) {
		want ^= uint64(c)
	}
	if err != nil || want != 0 {
		return nil
	}
	return p[:len(text)]
}

func parseAll(data []byte, parse func([]byte) []byte) (all []string) {
	for i := 0; i < len(data); {
		if frame := parse(data[i:]); frame != nil {
			all = append(all, string(frame))
			i += len(frame)
		} else {
			i++
		}
	}
	return all
}

// The recordings of binary receivers come out as exactly the frames that they hold: what an independent parser finds, and as
// many as were counted once and for all.
func TestFramesOfRecordings(t *testing.T) {
	for _, c := range []struct {
		file   string
		spec   Spec
		parse  func([]byte) []byte
		frames int
		bad    int64 // remarks of whoever recorded it
		left   int64 // the last frame is torn
	}{
		{"bu303-moving.log", sirfSpec(), sirfParser, 65, 273, 0},
		{"sirf2.log", sirfSpec(), sirfParser, 1203, 388, 157},
		{"rtcm3.2.log", rtcmSpec(), rtcmParser, 192, 493, 0},
		{"ais-nmea.log", Spec{Type: "nmea"}, nmeaParser, 1496, -1, 0},
		{"neo-m8n.log", Spec{Type: "nmea"}, nmeaParser, 293, -1, 0},
		{"quectel-eg25-g.log", Spec{Type: "nmea"}, nmeaParser, 861, -1, 0},
	} {
		data, err := os.ReadFile("testdata/" + c.file)
		if err != nil {
			t.Fatal(err)
		}
		want := parseAll(data, c.parse)
		if len(want) != c.frames {
			t.Errorf("%s: the parser finds %d frames, not %d", c.file, len(want), c.frames)
		}
		for _, size := range []int{1, 7, 64, 4096, len(data)} {
			f := mustNew(t, c.spec)
			var out []string
			for rest := range slices.Chunk(data, size) {
				f.Feed(t0(), rest)
				frames, _ := drain(t, f, t0())
				out = append(out, texts(frames)...)
			}
			if !slices.Equal(out, want) {
				t.Errorf("%s in chunks of %d: %d frames, want %d", c.file, size, len(out), len(want))
			}
			if s := f.Stats(); c.bad >= 0 && s.Bad != c.bad || s.Pending != c.left {
				t.Errorf("%s in chunks of %d: %+v", c.file, size, s)
			}
		}
		if again := encodeAll(t, c.spec, want); c.spec.Keep && !bytes.Contains(data, again) {
			t.Errorf("%s: what was cut and encoded again is not what was recorded", c.file)
		}
	}
}

// encodeAll goes round: each frame is cut out of the whole and wrapped again.
func encodeAll(t *testing.T, s Spec, frames []string) (out []byte) {
	s.Keep = false
	f := mustNew(t, s)
	for _, frame := range frames {
		f.Feed(t0(), []byte(frame))
		payload, _ := f.Next(t0())
		if payload == nil {
			out = append(out, frame...) // nothing inside, or nmea, whose line end is gone
			continue
		}
		var err error
		if out, err = f.Encode(out, payload); err != nil {
			t.Fatal(err)
		}
	}
	return out
}
