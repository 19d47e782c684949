package flood

import (
	"sync"
	"time"
)

// How many refusals are answered: a person who mistypes always is, and a flood is not.
const (
	answersBurst     = 10
	answersPerMinute = 6
)

// Toll is what refused traffic is booked under. The zero value books nothing, and is never spent.
type Toll struct {
	Pay   func(bytes int) // called with the bytes on the wire that something refused has cost, about; nil: nobody counts
	Spent func() bool     // its share of the month is used up: nothing more is answered; nil: never
}

// Answers says which refusals are answered: the first ten, and then six a minute. Safe for concurrent use.
type Answers struct {
	Bucket Bucket // guarded by mu, once there are refusals

	toll Toll // immutable once there are refusals
	mu   sync.Mutex
}

// NewAnswers returns one under which the first ten may be answered.
func NewAnswers() *Answers {
	return &Answers{Bucket: Bucket{Burst: answersBurst, PerMinute: answersPerMinute}}
}

// Charge says who counts. It is called before there are refusals.
func (a *Answers) Charge(t Toll) { a.toll = t }

// Take reports whether a refusal may be answered.
func (a *Answers) Take(now time.Time) bool {
	if a.toll.Spent != nil && a.toll.Spent() {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.Bucket.Take(now)
}

// Pay books what something refused, or the answer to it, has cost.
func (a *Answers) Pay(bytes int) {
	if a.toll.Pay != nil {
		a.toll.Pay(bytes)
	}
}
