package estimate

import (
	"github.com/linkbeat/linkbeat/agent/wire"
)

// sample is what frames of a device look like, so that their JSON can be measured and compressed, not guessed.
type sample struct {
	encoding wire.Encoding
	size     int // of a frame
	raw      bool
	gzip     bool
}

// sampleMax bounds what is compressed to see how well that goes, in bytes.
const sampleMax = 64 << 10

// frame is the nth: random digits where text is relayed, random bytes elsewhere. Real frames repeat themselves and compress better.
func (s sample) frame(n int) []byte {
	p := make([]byte, s.size)
	state := uint32(n)*2654435761 + 1
	for i := range p {
		state = state*1664525 + 1013904223 // Numerical Recipes' generator; its high bits are good enough for gzip
		if p[i] = byte(state >> 24); s.encoding == wire.Text {
			p[i] = '0' + byte(state>>24)%10
		}
	}
	return p
}

func (s sample) json(n int) []byte {
	body, _ := wire.NewBody(s.frame(n), s.encoding)
	return wire.Record{Seq: latestSeq + uint64(n), TS: someTime + int64(n)*997, Epoch: "3f2a9c1e", Body: body}.Append(nil)
}

// record is the JSON of one frame, in bytes.
func (s sample) record() int { return len(s.json(0)) }

// single is the payload of a frame that travels alone, in bytes.
func (s sample) single() int {
	payload := s.frame(0)
	if !s.raw {
		payload = s.json(0)
	}
	if s.gzip {
		payload = wire.Gzip(payload)
	}
	return len(payload)
}

// batch is the payload of n frames, in bytes.
func (s sample) batch(n int) int {
	if !s.gzip {
		return 1 + n*(s.record()+1)
	}
	few := max(1, min(n, sampleMax/s.record()))
	records := make([][]byte, few)
	for i := range records {
		records[i] = s.json(i)
	}
	return len(wire.Gzip(wire.AppendBatch(nil, records...))) * n / few
}
