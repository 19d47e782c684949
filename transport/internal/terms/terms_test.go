package terms

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// play lets sessions be served by a server for so long, and returns how many it ended at once. ends says how it ends a session
// that asks for s at that time: after a while, and in which way.
type play struct {
	*Terms
	now      time.Time
	kicked   int
	sessions int
}

func (p *play) serve(most time.Duration, ends func(s Set) (after time.Duration, way Way)) {
	for end := p.now.Add(most); p.now.Before(end); {
		asked := p.Next()
		p.sessions++
		after, way := ends(asked)
		up := p.now
		for {
			due := p.Due(asked, up)
			if died := up.Add(after); due.IsZero() || died.Before(due) || due.After(end) {
				if died.After(end) {
					p.now = end
					return
				}
				p.now = died
				if way != Other {
					p.kicked++
				}
				if !p.Ended(p.now, asked, way) {
					p.now = p.now.Add(5 * time.Second)
				}
				break
			}
			p.now = due
			if p.Lived(p.now, asked) {
				break
			}
		}
	}
}

func started(doubt Set) *play {
	return &play{Terms: New(all, doubt, 0, time.Time{}), now: time.Unix(1e9, 0)}
}

const never = 1000 * time.Hour

// rejects is a server that ends what asks for one of bad, and keeps the rest.
func rejects(bad Set) func(Set) (time.Duration, Way) {
	return func(s Set) (time.Duration, Way) {
		switch {
		case s&bad&^Retain != 0:
			return 0, Early
		case s&bad&Retain != 0:
			return time.Second, AtRetain
		}
		return never, Other
	}
}

// TestWhatAServerRejectsIsFound: any set, within ten minutes, and nothing else; the day after it is asked again, at little cost.
func TestWhatAServerRejectsIsFound(t *testing.T) {
	for bad := Set(0); bad <= all; bad++ {
		p := started(all)
		p.serve(20*time.Minute, rejects(bad))
		if want := bad | all&^(all&^bad).possible(); p.Gone() != want {
			t.Fatalf("%05b: gave up %05b, not %05b", bad, p.Gone(), want)
		}
		if p.kicked > 13 || p.Trying() {
			t.Fatalf("%05b: %d sessions", bad, p.kicked)
		}
		p.kicked = 0
		if p.serve(23*time.Hour, rejects(bad)); p.kicked != 0 {
			t.Fatalf("%05b: tried %d times within a day", bad, p.kicked)
		}
		if p.serve(3*time.Hour, rejects(bad)); p.kicked > 8 || (p.kicked == 0) != (bad == 0) {
			t.Fatalf("%05b: tried %d times a day later", bad, p.kicked)
		}
		if p.serve(24*time.Hour, rejects(0)); p.Gone() != 0 {
			t.Fatalf("%05b: %05b is left out though it is taken now", bad, p.Gone())
		}
	}
}

// TestAServerWithOtherTroublesLosesNothing: whatever ends sessions for other reasons than what they ask for.
func TestAServerWithOtherTroublesLosesNothing(t *testing.T) {
	for name, ends := range map[string]func(n int) (time.Duration, Way){
		"a proxy without a backend":     func(int) (time.Duration, Way) { return 0, Early },
		"one that kicks everybody":      func(int) (time.Duration, Way) { return 3 * time.Second, AtOnce },
		"wrong credentials":             func(int) (time.Duration, Way) { return 0, Refused },
		"a restart every 70 s":          func(int) (time.Duration, Way) { return 70 * time.Second, Other },
		"a restart after five sessions": func(n int) (time.Duration, Way) { return time.Duration(n%5) * time.Minute, Early },
		"an outage of 20 attempts": func(n int) (time.Duration, Way) {
			if n%21 > 0 {
				return 0, Early
			}
			return time.Hour, Other
		},
		"killed twice at the birth": func(n int) (time.Duration, Way) {
			if n%50 < 2 {
				return time.Second, AtRetain
			}
			return 3 * time.Minute, Other
		},
		"silence": func(int) (time.Duration, Way) { return time.Minute, Other },
	} {
		p, n := started(all), 0
		p.serve(48*time.Hour, func(Set) (time.Duration, Way) {
			n++
			if name == "a restart after five sessions" {
				if d := time.Duration(n%5) * time.Minute; d > 0 {
					return d, Other
				}
			}
			return ends(n)
		})
		if p.Gone() != 0 {
			t.Errorf("%s: gave up %05b", name, p.Gone())
		}
	}
}

// TestNothingIsGivenUpWithoutProof is the rule at random, seen from outside: what was given up was asked for by two sessions that
// ended in the same way, and by turns sessions without it lived a minute.
func TestNothingIsGivenUpWithoutProof(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := started(all)
		type session struct {
			asked Set
			lived time.Duration
			way   Way
		}
		var log []session
		for range rapid.IntRange(1, 80).Draw(t, "sessions") {
			asked, up, gone := p.Next(), p.now, p.Gone()
			after := time.Duration(rapid.SampledFrom([]int{0, 1, 5, 30, 70, 200}).Draw(t, "s")) * time.Second
			way := rapid.SampledFrom([]Way{Other, Early, AtOnce, AtRetain}).Draw(t, "way")
			if after > Kicked {
				way = Other
			}
			replaced := false
			for !replaced {
				due := p.Due(asked, up)
				if due.IsZero() || due.After(up.Add(after)) {
					break
				}
				p.now = due
				if replaced = p.Lived(p.now, asked); p.Due(asked, up).Equal(due) {
					break
				}
			}
			if !replaced {
				p.now = up.Add(after)
				p.Ended(p.now, asked, way)
			}
			if replaced {
				way = Other
			}
			log = append(log, session{asked, p.now.Sub(up), way})
			p.now = p.now.Add(time.Duration(rapid.IntRange(0, 100).Draw(t, "pause")) * time.Second)
			for _, one := range order() {
				if p.Gone()&^gone&one == 0 {
					continue
				}
				with, without, way := 0, 0, Other
				for _, s := range log {
					switch {
					case !s.asked.Has(one) && s.lived >= lived:
						without++
					case s.asked.Has(one) && s.way != Other && (way == Other || way == s.way):
						with, way = with+1, s.way
					case s.asked.Has(one) && s.way != Other:
						with, way = with+1, s.way
					}
				}
				if needs := one == WillRetain && p.Gone().Has(Will) || one == LongKeep && p.Gone().Has(Keep); needs {
					continue
				}
				if with < 2 || without < 1 {
					t.Fatalf("gave up %05b after %+v", one, log)
				}
			}
		}
	})
}

// What may not be given up is asked for always, and what is not wanted never.
func TestOnAndOff(t *testing.T) {
	p := started(all &^ (Retain | WillRetain)) // uplink.retain: on
	p.serve(time.Hour, func(s Set) (time.Duration, Way) {
		if !s.Has(Retain) || s.Has(Will) && !s.Has(WillRetain) {
			t.Fatalf("asked for %05b", s)
		}
		return rejects(Retain)(s)
	})
	off := &play{Terms: New(all&^(Retain|WillRetain), all, 0, time.Time{}), now: time.Unix(1e9, 0)}
	off.serve(time.Hour, func(s Set) (time.Duration, Way) {
		if s&(Retain|WillRetain) != 0 {
			t.Fatalf("asked for %05b", s)
		}
		return rejects(Retain | WillRetain)(s)
	})
	if off.kicked > 0 || off.Why("a") != "" {
		t.Fatalf("%d, %q", off.kicked, off.Why("a"))
	}
}

func TestWhy(t *testing.T) {
	for gone, want := range map[Set][]string{
		0: nil, LongKeep: nil,
		Retain:              {"retained messages", "devices", "fleet documents", "uplink.retain: off"},
		Retain | WillRetain: {"retained messages or a retained will"},
		wills:               {"a will", "nobody is told"},
	} {
		why := New(all, all, gone, time.Time{}).Why("mqtt://a")
		if (why == "") != (want == nil) {
			t.Errorf("%05b: %q", gone, why)
		}
		for _, w := range want {
			if !strings.Contains(why, w) {
				t.Errorf("%05b: %q lacks %q", gone, why, w)
			}
		}
	}
	if got := Parse(append(all.Names(), "of a later version")); got != all {
		t.Errorf("%05b", got)
	}
}
