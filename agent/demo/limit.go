package demo

import (
	"math/rand/v2"
	"time"
)

// Where the NAT's limit lies. A real carrier forgets after two to thirty minutes; this one is in a hurry, so that a person
// can watch it.
const (
	limitLeast = 4 * time.Second
	limitMost  = 9 * time.Second
	limitStep  = 10 * time.Millisecond // a figure that a person can read
)

// maxSeed keeps a seed that was drawn short enough to be typed.
const maxSeed = 1_000_000

// drawSeed returns a seed for a run whose seed was not given: 1 to maxSeed.
func drawSeed() uint64 { return 1 + rand.Uint64N(maxSeed) }

// drawLimit returns the NAT's limit for a seed: limitLeast to limitMost, the same for the same seed.
func drawLimit(seed uint64) time.Duration {
	r := rand.New(rand.NewPCG(seed, 0))
	return limitLeast + time.Duration(r.Int64N(int64((limitMost-limitLeast)/limitStep)+1))*limitStep
}
