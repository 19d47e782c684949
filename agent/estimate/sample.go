package estimate

import (
	"github.com/linkbeat/linkbeat/agent/wire"
)

// sample is what frames of a device look like, so that their payload can be measured and compressed, not guessed.
type sample struct {
	gateway  string
	name     string
	encoding wire.Encoding
	size     int // of a frame
	format   wire.Format
	gzip     bool
}

// sampleMax bounds what is compressed to see how well that goes, in bytes.
const sampleMax = 64 << 10

// frame is the nth: random digits where text is relayed, random bytes elsewhere. Real frames repeat
// themselves and compress better.
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

// record is the nth frame as its format has it, of a device and a gateway whose names are as long as theirs.
func (s sample) record(n int) []byte {
	return s.format.Append(nil, wire.DeviceRecord{Record: emptyRecord(n), Frame: s.frame(n), Encoding: s.encoding,
		Gateway: s.gateway, Name: s.name})
}

// emptyRecord is the nth record of a device, with nothing in it.
func emptyRecord(n int) wire.Record {
	return wire.Record{Seq: latestSeq + uint64(n), TS: someTime + int64(n)*997, Epoch: "3f2a9c1e"}
}

// single is the payload of a frame that travels alone, in bytes.
func (s sample) single() int {
	payload := s.format.Single(s.record(0))
	if s.gzip {
		payload = wire.Gzip(payload)
	}
	return len(payload)
}

// batch is the payload of n frames, in bytes.
func (s sample) batch(n int) int {
	one := len(s.record(0))
	if !s.gzip {
		return 1 + n*(one+1)
	}
	few := max(1, min(n, sampleMax/one))
	records := make([][]byte, few)
	for i := range records {
		records[i] = s.record(i)
	}
	return len(wire.Gzip(s.format.Join(nil, records...))) * n / few
}
