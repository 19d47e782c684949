package kit

import (
	"bytes"
	"context"
	"fmt"
	"hash/crc32"
	"strconv"
	"sync"
	"time"
)

// bitsPerByte on an 8N1 line: start, eight, stop.
const bitsPerByte = 10

// tick is how often a player writes what has become due.
const tick = 5 * time.Millisecond

// PlayRecording writes b at the pace of baud (8N1), as a device would, and returns when all is written.
func PlayRecording(ctx context.Context, p *Pty, b []byte, baud int) error {
	start, sent := time.Now(), 0
	t := time.NewTicker(tick)
	defer t.Stop()
	for sent < len(b) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
		due := min(len(b), int(time.Since(start).Seconds()*float64(baud)/bitsPerByte))
		if due == sent {
			continue
		}
		n, err := p.Write(b[sent:due])
		sent += n
		if err != nil {
			return fmt.Errorf("play: %w", err)
		}
	}
	return nil
}

// Lines cuts a recording as the framer `line` must: at \n or \r\n, without empty lines.
func Lines(b []byte) [][]byte {
	var lines [][]byte
	for _, l := range bytes.Split(b, []byte("\n")) {
		if l = bytes.TrimSuffix(l, []byte("\r")); len(l) > 0 {
			lines = append(lines, l)
		}
	}
	return lines
}

// Frame number n of the given size without the delimiter: "LB<number>:<padding>*<crc32>". ParseNumber is its inverse.
func NumberedFrame(n, size int) []byte {
	b := append([]byte("LB"), strconv.Itoa(n)...)
	b = append(b, ':')
	const sum = 9 // * and 8 hex digits
	for len(b) < size-sum {
		b = append(b, byte('a'+(n+len(b))%26))
	}
	return fmt.Appendf(b, "*%08x", crc32.ChecksumIEEE(b))
}

// ParseNumber returns the number of a whole frame; ok is false for a torn one (the tail of a frame whose beginning a
// killed agent took with it).
func ParseNumber(b []byte) (n int, ok bool) {
	body, sum, found := bytes.Cut(b, []byte("*"))
	if !found || !bytes.HasPrefix(body, []byte("LB")) {
		return 0, false
	}
	if fmt.Sprintf("%08x", crc32.ChecksumIEEE(body)) != string(sum) {
		return 0, false
	}
	digits, _, _ := bytes.Cut(body[2:], []byte(":"))
	n, err := strconv.Atoi(string(digits))
	return n, err == nil
}

// Numbered plays frames 1, 2, 3 … at a steady rate and keeps when each was wholly handed to the kernel.
type Numbered struct {
	Rate int // frames a second
	Size int // bytes of a frame, without the delimiter

	mu    sync.Mutex
	wrote []time.Time // wrote[i] is for frame i+1
}

// Run plays until ctx ends or limit frames are out (0: no limit); run again, it goes on with the next number. When the kernel's
// buffer is full it waits and then goes on at the same rate, without catching up.
func (f *Numbered) Run(ctx context.Context, p *Pty, limit int) error {
	t := time.NewTicker(tick)
	defer t.Stop()
	credit, last := 0.0, time.Now()
	for n := len(f.Wrote()) + 1; limit == 0 || n <= limit; {
		select {
		case <-ctx.Done():
			return nil
		case now := <-t.C:
			credit += min(now.Sub(last).Seconds(), 0.1) * float64(f.Rate)
			last = now
		}
		for ; credit >= 1 && (limit == 0 || n <= limit); credit-- {
			if _, err := p.Write(append(NumberedFrame(n, f.Size), '\n')); err != nil {
				return fmt.Errorf("frame %d: %w", n, err)
			}
			f.mu.Lock()
			f.wrote = append(f.wrote, time.Now())
			f.mu.Unlock()
			n++
		}
	}
	return nil
}

// Wrote returns when each frame was handed to the kernel, frame 1 first.
func (f *Numbered) Wrote() []time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]time.Time(nil), f.wrote...)
}
