package delivery

import (
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/transport"
)

func TestSizes(t *testing.T) {
	now := day
	for name, c := range map[string]struct {
		is   func(*sizes)
		want map[int]Fate // by bytes of payload
		next int          // beside 1500
	}{
		"nothing is known": {func(*sizes) {}, map[int]Fate{sizeFloor: Goes, sizeFloor + 1: Tries}, 0},
		"passed":           {func(s *sizes) { s.passed(1000) }, map[int]Fate{1000: Goes, 1001: Tries}, 3000},
		"refused": {func(s *sizes) { s.passed(1000); s.refuses(2000, "", now) },
			map[int]Fate{1000: Goes, 1500: Tries, 2000: TooLarge, 9000: TooLarge}, 1750},
		"refused a day ago": {func(s *sizes) { s.refuses(2000, "", now.Add(-sizeFor)) }, map[int]Fate{2000: Tries}, 0},
		"a person mended it": {func(s *sizes) { s.passed(1000); s.refuses(2000, "", now); s.mended() },
			map[int]Fate{1000: Goes, 2000: Tries}, 3000},
		"the limit was raised": {func(s *sizes) { s.refuses(2000, "", now); s.passed(4000) },
			map[int]Fate{4000: Goes, 4001: Tries}, 3000},
		"the limit was lowered": {func(s *sizes) { s.passed(4000); s.refuses(2000, "", now) },
			map[int]Fate{2000: TooLarge, 1999: Tries, 256: Goes}, 1750},
		"a larger one is refused too": {func(s *sizes) { s.refuses(2000, "", now); s.refuses(3000, "", now) },
			map[int]Fate{2000: TooLarge}, 1750},
		"nobody can tell": {func(s *sizes) { s.untold(2000, true, now) }, map[int]Fate{9000: Goes}, 0},
		"nobody could tell, a while ago": {func(s *sizes) { s.untold(2000, false, now.Add(-failedFirst)) },
			map[int]Fate{2000: Tries}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var s, again sizes
			c.is(&s)
			all := map[string]string{}
			s.store(all, now)
			for name, value := range all {
				if !again.restore(name, value, now) {
					t.Errorf("%q is not known", name)
				}
			}
			for n, want := range c.want {
				if got := s.fate(n, now); got != want {
					t.Errorf("%d bytes: %d, want %d", n, got, want)
				}
				if got := again.fate(n, now); got != want && s.blind.IsZero() {
					t.Errorf("%d bytes, after a restart: %d, want %d", n, got, want)
				}
			}
			if got := s.next(1500, now); got != c.next {
				t.Errorf("beside 1500 bytes %d are tried, want %d", got, c.next)
			}
		})
	}
	var s sizes
	if s.restore("lb/gw-1/up/data/meter", "ok", now) {
		t.Error("a topic is taken for a size")
	}
	if s.restore(storedRefused, "1500 99999999999", now); s.fate(1500, now.Add(sizeFor)) != Tries { // of a clock that was ahead
		t.Error("believed for longer than a day")
	}
	for _, odd := range []string{"", " ", "x", "-5 1", "99999999999999999999 x", "12"} {
		s.restore(storedPasses, odd, now)
		s.restore(storedRefused, odd, now)
		s.fate(1, now)
	}
}

// TestAServerThatClosesTellsTheSize: only where it delivers the topic.
func TestAServerThatClosesTellsTheSize(t *testing.T) {
	for verdict, limited := range map[string]bool{transport.EchoOK: true, transport.EchoUnknown: false} {
		p := pageOf(some3()...)
		p.answered(says(verdict, topic("a")), day)
		k := New(Options{Link: noLink{}, Memory: noMemory{}, Now: func() time.Time { return day }})
		k.pages["server"], k.login, k.server = p, "server", "server"
		k.Closed(transport.Message{Topic: topic("a").Topic, Payload: make([]byte, 2000)})
		if most, _ := k.Limit(); most > 0 != limited {
			t.Errorf("%s: limit %d", verdict, most)
		}
	}
}

type noLink struct{ Link }

func (noLink) Using() (u transport.Using, up bool) { return u, false }

type noMemory struct{ Memory }

func (noMemory) KeepVerdicts(string, map[string]string) {}
