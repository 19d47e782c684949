package heartbeat_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/transport/heartbeat"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// script plays events ("12.5 sent", "13 heard", "14 pong", "2 owed 1", "3 interval 20", "0 connected") in order, steps the
// beat at every Wake in between, up to the event "end", and returns what Step asked for: "60 ping", "120 give up".
func script(t *testing.T, b *heartbeat.Beat, events string) string {
	t.Helper()
	var done []string
	clock := epoch
	for line := range strings.SplitSeq(events, ",") {
		var at, arg float64
		var what string
		if n, _ := fmt.Sscanf(strings.TrimSpace(line), "%g %s %g", &at, &what, &arg); n < 2 {
			t.Fatalf("event %q is not understood", line)
		}
		done = append(done, run(b, clock, second(at))...)
		clock = second(at)
		play(t, b, second(at), what, arg)
	}
	return strings.Join(done, ", ")
}

func second(s float64) time.Time { return epoch.Add(time.Duration(s * float64(time.Second))) }

// run steps b at each of its deadlines, or at clock when that is later, up to and including end.
func run(b *heartbeat.Beat, clock, end time.Time) (done []string) {
	for w := b.Wake(); !w.IsZero() && !w.After(end); w = b.Wake() {
		if w.Before(clock) {
			w = clock
		}
		if a := b.Step(w); a != heartbeat.None {
			done = append(done, fmt.Sprintf("%g %v", w.Sub(epoch).Seconds(), a))
		}
	}
	return done
}

func play(t *testing.T, b *heartbeat.Beat, now time.Time, what string, arg float64) {
	t.Helper()
	switch what {
	case "connected":
		b.Connected(now)
	case "sent":
		b.Sent(now)
	case "heard":
		b.Heard(now)
	case "pong":
		b.PongHeard(now)
	case "owed":
		b.Owed(int(arg))
	case "interval":
		b.SetInterval(time.Duration(arg * float64(time.Second)))
	case "end":
	default:
		t.Fatalf("event %q is not known", what)
	}
}

func TestBeat(t *testing.T) {
	for _, tt := range []struct{ name, events, want string }{
		{"rests before it is connected", "500 end", ""},
		{"idle link beats once an interval", "0 connected, 60.1 pong, 120.2 pong, 121 end", "60 ping, 120 ping"},
		{"outbound re-arms", "0 connected, 40 sent, 40.1 heard, 80 sent, 80.1 heard, 139 end", ""},
		{"what nothing answers takes a due ping along", "0 connected, 48 sent, 48.1 pong, 108 end", "48 ping, 108 ping"},
		{"what is acknowledged needs no ping", "0 connected, 50 owed 1, 50 sent, 50.1 owed 0, 50.1 heard, 109 end", ""},
		{"inbound alone does not re-arm", "0 connected, 10 heard, 30 heard, 59 heard, 60.5 end", "60 ping"},
		{"silence is dead after interval + detect_within", "0 connected, 500 end",
			"60 ping, 61 ping, 63 ping, 67 ping, 75 ping, 90 ping, 105 ping, 120 give up"},
		{"unanswered data is asked after and dead at detect_within", "0 connected, 10 sent, 500 end",
			"11 ping, 12 ping, 14 ping, 18 ping, 26 ping, 41 ping, 56 ping, 70 give up"},
		{"later data does not postpone death", "0 connected, 10 sent, 10.5 sent, 30 sent, 69 sent, 500 end",
			"11 ping, 12 ping, 14 ping, 18 ping, 26 ping, 41 ping, 56 ping, 70 give up"},
		{"an answer in time needs no ping", "0 connected, 10 sent, 10.4 heard, 69 end", ""},
		{"nothing answers QoS 0, so one ping asks", "0 connected, 10 sent, 11.1 pong, 70.5 end", "11 ping"},
		{"an outage shorter than detect_within is survived",
			"0 connected, 90 pong, 90 pong, 90 pong, 90 pong, 90 pong, 90 pong, 135 end",
			"60 ping, 61 ping, 63 ping, 67 ping, 75 ping, 90 ping"},
		{"a push under way does not answer what is owed", "0 connected, 10 owed 1, 10 sent, 10.1 heard, 500 end",
			"11.1 ping, 12.1 ping, 14.1 ping, 18.1 ping, 26.1 ping, 41.1 ping, 56.1 ping, 70.1 give up"},
		{"an acknowledgement pays what was owed", "0 connected, 10 owed 1, 10 sent, 10.2 owed 0, 10.2 heard, 69 end", ""},
		{"a broker that keeps an acknowledgement costs one ping",
			"0 connected, 10 owed 1, 10 sent, 11.1 pong, 20 heard, 30 heard, 70.5 end", "11 ping"},
		{"data after the ping is not answered by its pong", "0 connected, 60.1 sent, 60.2 pong, 61.3 pong, 120 end",
			"60 ping, 61.2 ping"},
		{"a pong that nobody asked for is just heard", "0 connected, 5 pong, 60.5 end", "60 ping"},
		{"a longer interval counts from the last packet out", "0 connected, 30 interval 100, 100.5 end", "100 ping"},
		{"a shorter interval is due at once", "0 connected, 30 interval 20, 30.5 end", "30 ping"},
		{"a new session starts clean", "0 connected, 10 owed 3, 10 sent, 70 connected, 130.5 end",
			"11 ping, 12 ping, 14 ping, 18 ping, 26 ping, 41 ping, 56 ping, 70 give up, 130 ping"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := heartbeat.New(heartbeat.Options{Interval: time.Minute, DetectWithin: time.Minute})
			if got := script(t, b, tt.events); got != tt.want {
				t.Errorf("events %s\n got %s\nwant %s", tt.events, got, tt.want)
			}
		})
	}
}

func TestShortDetectWithinStillAsksTwice(t *testing.T) {
	b := heartbeat.New(heartbeat.Options{Interval: 20 * time.Second, DetectWithin: 2 * time.Second})
	got := script(t, b, "0 connected, 1 sent, 10 end")
	if want := "1.5 ping, 2 ping, 2.5 ping, 3 give up"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestZeroOptionsMeanAMinute(t *testing.T) {
	b := heartbeat.New(heartbeat.Options{})
	got := script(t, b, "0 connected, 121 end")
	if !strings.HasPrefix(got, "60 ping") || !strings.HasSuffix(got, "120 give up") {
		t.Errorf("got %s", got)
	}
}

func TestLate(t *testing.T) {
	for _, tt := range []struct {
		name, events string
		at           float64
		want         bool
	}{
		{"not while the round trip explains it", "0 connected, 60 end", 60.9, false},
		{"once the timeout has passed", "0 connected, 60 end", 61, true},
		{"still so after it was asked again", "0 connected, 62 end", 62, true},
		{"not after anything was heard", "0 connected, 62 heard", 62.5, false},
		{"again when silence follows", "0 connected, 62 heard", 64, true},
		{"data alone is asked after first", "0 connected, 10 sent, 11 end", 11.5, false},
		{"data, when the question stays open too", "0 connected, 10 sent, 11 end", 12, true},
		{"not when dead", "0 connected, 120 end", 121, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := heartbeat.New(heartbeat.Options{Interval: time.Minute, DetectWithin: time.Minute})
			script(t, b, tt.events)
			if got := b.Late(second(tt.at)); got != tt.want {
				t.Errorf("late at %g s after %s: got %v", tt.at, tt.events, got)
			}
		})
	}
}

func TestRoundTrip(t *testing.T) {
	for _, tt := range []struct {
		name, events string
		want         time.Duration // of SRTT
	}{
		{"unknown at first", "0 connected, 30 end", 0},
		{"the first sample is taken as it is", "0 connected, 60.8 pong", 800 * time.Millisecond},
		{"an eighth of each later one", "0 connected, 60.8 pong, 120.8 pong, 180 pong", 700 * time.Millisecond},
		{"no sample from a ping that was repeated", "0 connected, 62 pong, 62 pong", 0},
		{"forgotten with the session", "0 connected, 60.8 pong, 70 connected", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := heartbeat.New(heartbeat.Options{Interval: time.Minute, DetectWithin: time.Minute})
			script(t, b, tt.events)
			if got := b.SRTT(); got.Round(time.Millisecond) != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// A path whose round trip grew beyond the timeout must not be asked twice for ever: the doubled timeout stays until a
// sample fits it (RFC 6298 section 5.5 with Karn's rule).
func TestSlowPathIsLearnt(t *testing.T) {
	b := heartbeat.New(heartbeat.Options{Interval: time.Minute, DetectWithin: time.Minute})
	got := script(t, b, "0 connected, 62.9 pong, 63.9 pong, 123.9 pong, 125.9 pong, 185.9 pong, 245.9 pong, 246 end")
	if want := "60 ping, 61 ping, 121 ping, 123 ping, 183 ping, 243 ping"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestActionString(t *testing.T) {
	if got := fmt.Sprint(heartbeat.None, heartbeat.Ping, heartbeat.GiveUp); got != "none ping give up" {
		t.Errorf("got %s", got)
	}
}
