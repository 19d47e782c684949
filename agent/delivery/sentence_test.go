package delivery

import (
	"strings"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/transport"
)

func TestSentences(t *testing.T) {
	a := Advice{ID: "gw-1", Prefix: "lb"}.at("mqtts://b.example.net as meters")
	info := transport.EchoTopic{Class: "info", Topic: "lb/gw-1/up/info"}
	for want, got := range map[string]string{
		`the server's access rules refuse lb/gw-1/up/data/a to user "meters": 438 records wait; allow it: ` +
			`linkbeatctl acl --for mosquitto --id gw-1 --user meters prints the rules (--for emqx those of EMQX)`: //
		a.denied(some3()[:1], "meters", "438 records wait"),
		`the server's access rules refuse lb/gw-1/up/data/a and 2 more topics to a gateway without a user name: it is held ` +
			`until they allow it; allow it: linkbeatctl acl --for mosquitto --id gw-1 prints the rules (--for emqx those of EMQX)`: //
		a.denied(some3(), "", ""),
		`the server's access rules refuse lb/gw-1/up/info to user "gw-1": allow it: linkbeatctl acl --for aws --id gw-1 ` +
			`--prefix acme/eu --group 'no rth' prints the rules`: //
		Advice{ID: "gw-1", Prefix: "acme/eu", Groups: []string{"no rth"}}.at("mqtts://x.iot.eu-west-1.amazonaws.com as gw-1").
			denied([]transport.EchoTopic{info}, "gw-1", "1 record waits"),
		`the server's access rules refuse lb/gw-1/up/info to user "gw-1": allow it: the rules must let the gateway publish to ` +
			`lb/gw-1/up/info`: //
		Advice{ID: "gw-1"}.at("x").denied([]transport.EchoTopic{info}, "gw-1", "1 record waits"),
		`nobody can tell whether the server delivers lb/gw-1/up/data/a and 1 more topic (it is acknowledged): let user "gw-1" ` +
			`subscribe to its own topics, so that it can be heard: linkbeatctl acl --for mosquitto --id gw-1 prints the rules ` +
			`(--for emqx those of EMQX)`: //
		a.doubt(some3()[:2], "gw-1", "is acknowledged"),
		`the server's access rules do not let user "gw-1" subscribe to lb/gw-1/up/#, so it cannot hear what the server ` +
			`delivers: linkbeatctl acl --for mosquitto --id gw-1 prints the rules (--for emqx those of EMQX)`: //
		a.deaf("lb/gw-1/up/data/a", "gw-1"),
	} {
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestQuoted(t *testing.T) {
	for s, want := range map[string]string{"gw-1": "gw-1", "": "''", "a b": "'a b'", "it's": `'it'\''s'`, "$(x)": "'$(x)'"} {
		if got := quoted(s); got != want {
			t.Errorf("%q becomes %s", s, got)
		}
	}
}

// TestHowManyWait, by topic: where all are of the one that was named, its name is not said twice.
func TestHowManyWait(t *testing.T) {
	a, b, c := topic("a").Topic, topic("b").Topic, topic("c").Topic
	for want, records := range map[string]map[string]int64{
		"":               nil,
		"1 record waits": {a: 1, "of others": 7},
		"7 records wait": {a: 7},
		"9 records wait (2 for " + b + ", 7 for " + c + ")":                  {b: 2, c: 7},
		"1 record waits (1 for " + c + ")":                                   {c: 1},
		"6 records wait (1 for " + a + ", 2 for " + b + ", 3 for " + c + ")": {a: 1, b: 2, c: 3},
	} {
		if got := waits(some3(), records); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	var many []transport.EchoTopic
	records := map[string]int64{}
	for i := range 8 {
		many = append(many, topic(string(rune('a'+i))))
		records[many[i].Topic] = 1
	}
	if got := waits(many, records); !strings.HasSuffix(got, "e, 3 topics more)") {
		t.Error(got)
	}
}

// TestWhenTheSpoolIsFull: 10 kB an hour, of 1 MB.
func TestWhenTheSpoolIsFull(t *testing.T) {
	var f fill
	b := Backlog{Records: map[string]int64{topic("a").Topic: 1}, Bytes: 1000, Most: 1_000_000}
	for at := time.Duration(0); at <= 5*time.Hour; at += time.Minute {
		b.Bytes = 1000 + int64(at/time.Hour*10_000) + int64(at%time.Hour/time.Minute)*10_000/60
		f.sample(b, day.Add(at))
		const waits = "1 record waits"
		got := f.sentence(some3(), b, day.Add(at))
		if at < fillLeast && got != waits || at == 5*time.Hour && got != waits+", and the spool is full in about 4 days" {
			t.Errorf("after %v: %s", at, got)
		}
	}
	b.Records[topic("a").Topic], b.Bytes = 7, 990_000
	if got := f.sentence(some3(), b, day); got != "7 records wait, and the spool is full: what is oldest, or new, is lost" {
		t.Error(got)
	}
	b.Bytes = 10
	if f.sample(b, day.Add(6*time.Hour)); f.from.bytes != 10 {
		t.Error("what went out counts")
	}
	for d, want := range map[time.Duration]string{time.Second: "less than a minute", time.Minute: "1 minute",
		59 * time.Minute: "59 minutes", 70 * time.Minute: "1 hour", 3 * time.Hour: "3 hours", 30 * time.Hour: "1 day",
		72 * time.Hour: "3 days"} {
		if got := about(d); got != want {
			t.Errorf("%v: %s", d, got)
		}
	}
}
