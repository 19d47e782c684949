// Package serial is the lab of the framers: their recordings, a gigabyte of generated frames and noise for each, and how fast
// they are. `make lab-serial` prints the table.
package serial

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// Lab is this laboratory's row of the table.
func Lab() kit.Lab {
	return kit.Lab{
		Name:    "serial",
		Promise: "every framer: recordings, a gigabyte of frames and noise each, frames that come slowly, speed",
		Takes:   4 * time.Minute, Limit: 20 * time.Minute,
		Short: short().run, Full: full().run,
	}
}

// options choose how much is made.
type options struct {
	Bytes int64 // for each framer, half of it clean and half with noise
	Speed int   // rounds of the measurement of speed; the best counts
}

// short is what `make test` runs.
func short() options { return options{Bytes: 16 << 20, Speed: 3} }

// full is what `make lab-serial` runs.
func full() options { return options{Bytes: 1 << 30, Speed: 7} }

// run fills the table.
func (o options) run(e *kit.Env, t *kit.Table) error {
	t.Say("Each framer gets %d MiB: half of it frames alone, cut into reads of 1 to 4096 bytes; "+
		"half of it frames with noise between", o.Bytes>>20)
	t.Say("them: random bytes, halves of frames, frames with a wrong bit. \"needless\" are frames lost although the frame before")
	t.Say("them was no noise and no false frame was just let through (unchecked length: " +
		"although max bytes came since the noise).")
	t.Say("Behind USB a piece of a frame, between two silences, may be right by accident (2^-16) and hide it: " +
		"that is needless all the same.")
	t.Say("A false frame is one that nobody sent. Its goal is candidates × 2^−checkbits and three times the square root of that,")
	t.Say("because it is chance; a candidate is a checksum compared with what is not a sent frame. Unchecked ones have no goal.")
	t.Say("Nothing follows the last frame. A wrong bit is any of a frame, but not the one bit of SiRF's length that nobody " +
		"looks at.")
	t.Say("Late are frames that are not out after 4 s, one a minute with noise between: " +
		"a false start may ask for thousands of bytes.")
	t.Say("Modbus behind USB: silences of up to 16 ms inside the frames, where 1.75 ms ends one, so chance plays there too.")
	if err := recordings(t); err != nil {
		return err
	}
	for i, c := range cases() {
		if err := c.run(e.Ctx, o.Bytes/2, uint64(i), t); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		e.Logf("%s", c.name)
	}
	for _, c := range cases() {
		if err := c.speed(e.Ctx, o.Speed, t); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return nil
}

// run plays both halves.
func (c framer) run(ctx context.Context, bytes int64, seed uint64, t *kit.Table) error {
	clean, err := c.play(ctx, bytes, false, seed)
	if err != nil {
		return err
	}
	c.cleanRows(clean, t)
	noisy, err := c.play(ctx, bytes, true, seed+1000)
	if err != nil {
		return err
	}
	t.Info(c.name+", noise: frames sent", float64(noisy.sent), "frames")
	t.Info(c.name+", noise: lost", float64(noisy.lost), "frames")
	t.Exactly(c.name+", noise: needless", noisy.needless, 0, "frames", noisy.first)
	if c.bits == 0 {
		t.Info(c.name+", noise: false", float64(noisy.false), "frames")
		return nil
	}
	t.AtMost(c.name+", noise: false", float64(noisy.false), c.falseGoal(noisy), "frames")
	if c.spec.Type != "fixed" && c.spec.Type != "length" {
		return nil
	}
	late, err := c.slowly(ctx, int(bytes/slowPart), seed+2000)
	t.Exactly(c.name+", noise, a frame a minute: late", late, 0, fmt.Sprint("of ", bytes/slowPart), "")
	return err
}

// slowPart is of how many bytes of a half one frame is also sent slowly.
const slowPart = 4 << 10

// cleanRows: every frame comes out and nothing else; of those that are torn by silences chance may cost a few.
func (c framer) cleanRows(r result, t *kit.Table) {
	if c.torn {
		t.AtMost(c.name+", clean: lost of "+strconv.Itoa(r.sent), float64(r.lost), c.falseGoal(r), "frames")
		t.AtMost(c.name+", clean: false", float64(r.false), c.falseGoal(r), "frames")
		return
	}
	note := ""
	if r.false > 0 || r.bad > 0 {
		note = fmt.Sprintf("%d frames that nobody sent, %d bad bytes in clean input", r.false, r.bad)
		r.matched -= r.false + int(r.bad)
	}
	t.Exactly(c.name+", clean", r.matched, r.sent, "frames", note)
}
