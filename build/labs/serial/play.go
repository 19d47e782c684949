package serial

import (
	"bytes"
	"cmp"
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
	excused bool        // a false frame came out since the last sent one
	result
}

const blockSize = 64 << 10

// play feeds so many bytes, and then says that nothing more comes: no frame may need another one behind it.
func (c framer) play(ctx context.Context, size int64, noisy bool, seed uint64) (result, error) {
	p, err := c.player(seed)
	if err != nil {
		return result{}, err
	}
	if !noisy {
		p.noise = 1 << 30
	}
	for p.f.Stats().Read < size && ctx.Err() == nil {
		if err := p.next(noisy); err != nil {
			return result{}, err
		}
	}
	p.flush()
	p.f.End()
	p.drain()
	for i := range p.waiting { // they never came out
		p.miss(i)
	}
	p.bad, p.checks = p.f.Stats().Bad, p.f.Stats().Checks
	return p.result, ctx.Err()
}

func (c framer) player(seed uint64) (*player, error) {
	f, err := framing.New(c.spec)
	return &player{c: c, f: f, m: newMaker(seed), now: time.Unix(1_800_000_000, 0)}, err
}

// next makes a frame, and maybe noise before it.
func (p *player) next(noisy bool) error {
	if noisy && p.m.IntN(4) == 0 {
		if err := p.makeNoise(); err != nil {
			return err
		}
	}
	return p.send()
}

// prompt is within what a frame must come out, whatever noise was before it: countedGap of the framers, and some.
const prompt = 4 * time.Second

// slowly plays frames with noise between them, one a minute: how many did not come out promptly?
func (c framer) slowly(ctx context.Context, frames int, seed uint64) (late int, err error) {
	p, err := c.player(seed)
	for i := 0; i < frames && err == nil && ctx.Err() == nil; i++ {
		err = p.next(true)
		p.flush()
		next := p.now.Add(time.Minute)
		for wake := p.f.Wake(); !wake.IsZero() && wake.Before(p.now.Add(prompt)); wake = p.f.Wake() {
			p.now = wake
			p.drain()
		}
		late += len(p.waiting)
		p.waiting, p.now = p.waiting[:0], next
	}
	return late, cmp.Or(err, ctx.Err())
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
	p.waiting = append(p.waiting, sentFrame{data, p.noise < 0 || p.noise < p.c.swallow})
	p.sent++
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

// blind is true for a bit of a frame that its framing does not look at: of a length, one that the mask leaves out and the
// checksum does not cover (SiRF: 1 of 16). With it wrong the frame is still right, and no false one.
func (c framer) blind(bit int) bool {
	s := c.spec
	at := bit/8 - s.Offset // in the length, its high byte first
	if s.Mask == 0 || at < 0 || at >= s.Width || bit/8 >= s.SumFrom {
		return false
	}
	return s.Mask>>(8*(s.Width-1-at)+bit%8)&1 == 0
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
		bit := p.m.IntN(8 * len(frame))
		for p.c.blind(bit) {
			bit = p.m.IntN(8 * len(frame))
		}
		frame[bit/8] ^= 1 << (bit % 8)
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
		p.matched++
		p.excused = false
		return
	}
	p.false++
	p.excused = p.c.bits > 0
}

// miss is called for one that did not come out.
func (p *player) miss(i int) {
	p.lost++
	if p.waiting[i].may || p.excused {
		return
	}
	p.needless++
	if p.first == "" {
		p.first = fmt.Sprintf("after %d bytes: %x", p.f.Stats().Read, p.waiting[i].data)
	}
}
