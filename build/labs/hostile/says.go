package hostile

import (
	"encoding/base64"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// speech is what a hostile broker says to the agent: write is one or many packets, false when nobody listens any more.
type speech func(id string, write func([]byte) bool)

// says puts a man in the middle before the broker, who says it after each SUBACK.
func says(s speech) serverOf {
	return func(e *kit.Env, b front, quiet *atomic.Bool) (string, error) {
		m, err := between(e, b.Host(), nil)
		if err != nil {
			return "", err
		}
		m.say = func(write func([]byte) bool, quit <-chan struct{}) {
			s(m.id(), func(p []byte) bool {
				select {
				case <-quit:
					return false
				default:
					return !quiet.Load() && write(p)
				}
			})
		}
		return "mqtt://" + m.Addr, nil
	}
}

// batch is how many packets are written at once.
const batch = 100

// forever says what one returns, numbered, until nobody listens.
func forever(write func([]byte) bool, one func(n int) []byte) {
	for n := 0; ; {
		var b []byte
		for range batch {
			b = append(b, one(n)...)
			n++
		}
		if !write(b) {
			return
		}
	}
}

func soon() int64 { return time.Now().Add(20 * time.Second).UnixMilli() }

// A PUBLISH of them has QoS 1, as a command's has, with ids that the man in the middle keeps to himself.
func qos1(n int) uint16 { return uint16(injected + n%0xfff) }

func junkCommands(id string, write func([]byte) bool) {
	junk := []string{`{`, `[]`, `{"id":7}`, `{"id":"a","expires":"now"}`, "\x00\xff", `{"id":"%d","expires":1,"text":"x"}`,
		`{"id":"%d"}`, `{"id":"%d","expires":9999999999999,"hex":"0"}`}
	forever(write, func(n int) []byte {
		j := junk[n%len(junk)]
		if strings.Contains(j, "%d") {
			j = fmt.Sprintf(j, n)
		}
		return publish("lb/"+id+"/dn/cmd/meter/write", []byte(j), false, qos1(n))
	})
}

func namelessCommands(id string, write func([]byte) bool) {
	forever(write, func(n int) []byte {
		return publish("lb/"+id+"/dn/cmd/meter/write", fmt.Appendf(nil, `{"expires":%d,"text":"x"}`, soon()), false, qos1(n))
	})
}

func strangeCommands(id string, write func([]byte) bool) {
	forever(write, func(n int) []byte {
		return publish(fmt.Sprintf("lb/%s/dn/cmd/nobody-%d/write", id, n),
			fmt.Appendf(nil, `{"id":"s%d","expires":%d,"text":"x"}`, n, soon()), false, qos1(n))
	})
}

func longCommands(id string, write func([]byte) bool) {
	text := strings.Repeat("x", 100<<10)
	for n := 0; write(publish("lb/"+id+"/dn/cmd/meter/write",
		fmt.Appendf(nil, `{"id":"l%d","expires":%d,"text":"%s"}`, n, soon(), text), false, qos1(n))); n++ {
	}
}

func consoleOps(ops ...string) speech {
	return func(id string, write func([]byte) bool) {
		forever(write, func(n int) (b []byte) {
			for i, op := range ops {
				b = append(b, publish("lb/"+id+"/dn/cmd/meter/console", fmt.Appendf(nil,
					`{"id":"k%d","seq":%d,"op":"%s","expires":%d,"who":"stranger"}`, n, i+1, op, soon()), false, qos1(2*n+i))...)
			}
			return b
		})
	}
}

func consoleStorm(id string, write func([]byte) bool) { consoleOps("open", "close")(id, write) }

func tapStorm(id string, write func([]byte) bool) { consoleOps("tap", "close")(id, write) }

func consoleData(id string, write func([]byte) bool) {
	data := base64.StdEncoding.EncodeToString(make([]byte, 10<<10))
	forever(write, func(n int) []byte {
		return publish("lb/"+id+"/dn/cmd/meter/console",
			fmt.Appendf(nil, `{"id":"d%d","seq":%d,"op":"data","base64":"%s"}`, n, n, data), false, qos1(n))
	})
}

func retainedCommands(id string, write func([]byte) bool) {
	text := strings.Repeat("x", 2<<10)
	for n := range 5000 {
		if !write(publish("lb/"+id+"/dn/cmd/meter/write",
			fmt.Appendf(nil, `{"id":"r%d","expires":%d,"text":"%s"}`, n, soon(), text), true, qos1(n))) {
			return
		}
	}
}

func retainedOthers(id string, write func([]byte) bool) {
	junk := make([]byte, 2<<10)
	for n := range 5000 {
		topic := fmt.Sprintf("lb/%s/dn/%s/%d", id, []string{"probe", "config", "cmd", "other"}[n%4], n)
		if !write(publish(topic, junk, true, qos1(n))) {
			return
		}
	}
}

func farCommands(id string, write func([]byte) bool) {
	far := time.Now().Add(23 * time.Hour).UnixMilli()
	for n := range 10_000 {
		if !write(publish("lb/"+id+"/dn/cmd/meter/write", fmt.Appendf(nil, `{"id":"f%d","expires":%d,"text":"x"}`, n, far), false,
			qos1(n))) {
			return
		}
	}
}
