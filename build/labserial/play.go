package labserial

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/framing"
)

// result counts what came of one half.
type result struct {
	sent, matched, lost int
	needless            int    // lost without an excuse
	first               string // the first of those
	false               int    // frames that nobody sent
	bad, checks         int64
}

// sentFrame waits for its turn to come out.
type sentFrame struct {
	data []byte
	may  bool // be lost: it came right behind noise
	tail bool // not counted
}

// player feeds one framer and judges what comes out.
type player struct {
	c       framer
	f       framing.Framer
	m       *maker
	now     time.Time
	block   []byte      // to be fed
	waiting []sentFrame // oldest first
	free    [][]byte    // for their data
	noise   int         // bytes since the last noise; -1: it was the last thing
	tail    bool        // what is sent now is not counted
	excused bool        // a false frame came out since the last sent one
	result
}

const blockSize = 64 << 10

// play feeds so many bytes, and then more frames, which nobody counts, so that the last ones come out.
func (c framer) play(ctx context.Context, size int64, noisy bool, seed uint64) (result, error) {
	f, err := framing.New(c.spec)
	if err != nil {
		return result{}, err
	}
	p := &player{c: c, f: f, m: newMaker(seed), now: time.Unix(1_800_000_000, 0)}
	if !noisy {
		p.noise = 1 << 30
	}
	for f.Stats().Read < size && ctx.Err() == nil {
		if noisy && p.m.IntN(4) == 0 {
			err = p.makeNoise()
		}
		if err == nil {
			err = p.send()
		}
		if err != nil {
			return result{}, err
		}
	}
	p.flush()
	p.tail = true
	for until := f.Stats().Read + 3*framing.DefaultMax; f.Stats().Read < until; p.flush() {
		if err := p.send(); err != nil {
			return result{}, err
		}
	}
	p.wait(time.Hour)
	for i := range p.waiting { // they never came out
		p.miss(i)
	}
	p.bad, p.checks = f.Stats().Bad, f.Stats().Checks
	return p.result, ctx.Err()
}

// send makes one frame, and expects it.
func (p *player) send() error {
	payload := p.c.payload(p.m)
	var data []byte
	if n := len(p.free); n > 0 {
		data, p.free = p.free[n-1], p.free[:n-1]
	}
	data = append(data[:0], payload...)
	at := len(p.block)
	var err error
	if p.block, err = p.f.Encode(p.block, payload); err != nil {
		return fmt.Errorf("frame %q: %w", payload, err)
	}
	if p.c.spec.Type == "nmea" {
		data = append(data, p.block[len(p.block)-5:len(p.block)-2]...) // its checksum stays
	}
	p.waiting = append(p.waiting, sentFrame{data, p.noise < 0 || p.noise < p.c.swallow, p.tail})
	if !p.tail {
		p.sent++
	}
	p.noise = max(p.noise, 0) + len(p.block) - at
	p.end()
	return nil
}

// end ends a frame: with a silence, or when the block is full by feeding it.
func (p *player) end() {
	switch {
	case p.c.silence > 0:
		p.tear()
		p.wait(p.c.silence)
	case len(p.block) >= blockSize:
		p.flush()
	}
}

// makeNoise puts something between two frames that is none.
func (p *player) makeNoise() error {
	at := len(p.block)
	frame, err := p.f.Encode(nil, p.c.payload(p.m))
	if err != nil {
		return err
	}
	switch p.m.IntN(4) {
	case 0:
		p.block = append(p.block, frame[:len(frame)/2]...)
	case 1:
		p.block = append(p.block, frame[(len(frame)+1)/2:]...)
	case 2:
		from := len(frame)/4 + 3
		frame[from+p.m.IntN(len(frame)-from)] ^= 1 << p.m.IntN(8)
		p.block = append(p.block, frame...)
	default:
		p.block = p.m.fill(p.block, 1+p.m.IntN(1+p.m.IntN(300)))
	}
	if len(p.block) == at {
		return nil
	}
	p.noise = -1
	if p.c.silence > 0 && p.m.IntN(2) == 0 {
		p.end()
	}
	return nil
}

// flush feeds the block in reads of any size.
func (p *player) flush() {
	most := 4096
	if p.m.IntN(8) == 0 {
		most = 64
	}
	for rest := p.block; len(rest) > 0; {
		n := min(1+p.m.IntN(most), len(rest))
		p.feed(rest[:n])
		rest = rest[n:]
	}
	p.block = p.block[:0]
}

// tear feeds the block in up to three pieces, with less silence between them than ends a frame.
func (p *player) tear() {
	for rest := p.block; len(rest) > 0; {
		n := len(rest)
		if p.m.IntN(2) == 0 {
			n = 1 + p.m.IntN(n)
		}
		p.now = p.now.Add(time.Duration(n) * p.c.spec.CharTime)
		p.feed(rest[:n])
		if rest = rest[n:]; len(rest) > 0 {
			p.wait(time.Duration(p.m.Int64N(int64(p.c.tear))))
		}
	}
	p.block = p.block[:0]
}

// wait lets time pass, as the reader of a port does: asking when the framer wants to be asked, or late.
func (p *player) wait(d time.Duration) {
	end := p.now.Add(d)
	for wake := p.f.Wake(); p.m.IntN(2) == 0 && !wake.IsZero() && !wake.After(end); wake = p.f.Wake() {
		p.now = wake
		p.drain()
	}
	p.now = end
	if d == time.Hour {
		p.drain()
	}
}

func (p *player) feed(b []byte) {
	p.f.Feed(p.now, b)
	p.drain()
}

func (p *player) drain() {
	for {
		frame, err := p.f.Next(p.now)
		if frame == nil && err == nil {
			return
		}
		if frame != nil {
			p.judge(frame)
		}
	}
}

// judge looks which of those that wait came out.
func (p *player) judge(frame []byte) {
	for i, w := range p.waiting {
		if !bytes.Equal(w.data, frame) {
			continue
		}
		for k := range i {
			p.miss(k)
		}
		for _, done := range p.waiting[:i+1] {
			p.free = append(p.free, done.data)
		}
		p.waiting = p.waiting[:copy(p.waiting, p.waiting[i+1:])]
		if !w.tail {
			p.matched++
		}
		p.excused = false
		return
	}
	p.false++
	p.excused = p.c.bits > 0
}

// miss is called for one that did not come out.
func (p *player) miss(i int) {
	if p.waiting[i].tail {
		return
	}
	p.lost++
	if p.waiting[i].may || p.excused {
		return
	}
	p.needless++
	if p.first == "" {
		p.first = fmt.Sprintf("after %d bytes: %x", p.f.Stats().Read, p.waiting[i].data)
	}
}
