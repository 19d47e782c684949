package wire

import (
	"fmt"
	"strings"
)

// GzipSuffix is appended to the topic of a gzip-compressed payload.
const GzipSuffix = "/gz"

// WriteSuffix is appended to [Topics.Cmd] for commands that write bytes to a device.
const WriteSuffix = "/write"

// RequestSuffix is appended to [Topics.Cmd] for commands that write bytes to a device and want its answer.
const RequestSuffix = "/request"

// MaxName is the longest device name, in bytes, that is answered: an unknown one comes from the network.
const MaxName = 255

// Topics holds the topic templates of a fleet. The zero value is of no use; start from [DefaultTopics].
type Topics struct {
	State, Info, Data, Reply, Log, Stats, Reported string // published by the gateway
	Cmd, Config, Group                             string // subscribed to by the gateway
	Probe                                          string // published and subscribed to: a gateway probing its own path
}

// DefaultTopics are the templates that a fleet has when its configuration says nothing.
func DefaultTopics() Topics {
	return Topics{
		State: "lb/{id}/up/state", Info: "lb/{id}/up/info", Data: "lb/{id}/up/data/{name}",
		Reply: "lb/{id}/up/reply/{name}", Log: "lb/{id}/up/log", Stats: "lb/{id}/up/stats",
		Reported: "lb/{id}/up/config/reported", Cmd: "lb/{id}/dn/cmd/{name}", Config: "lb/{id}/dn/config/desired",
		Group: "lb/group/{group}/config/desired", Probe: "lb/{id}/dn/probe/{n}",
	}
}

// For returns the templates with {id} filled in.
func (t Topics) For(id string) Topics {
	for _, p := range []*string{&t.State, &t.Info, &t.Data, &t.Reply, &t.Log, &t.Stats, &t.Reported, &t.Cmd, &t.Config,
		&t.Group, &t.Probe} {
		*p = Expand(*p, "id", id)
	}
	return t
}

// Expand fills one placeholder, named without braces, wherever it stands in the template.
func Expand(template, placeholder, value string) string {
	return strings.ReplaceAll(template, "{"+placeholder+"}", value)
}

// Filter turns a template into a subscription: every level that still holds a placeholder becomes "+"
// ([MQTT-4.7.1-3]: a single-level wildcard occupies an entire level).
func Filter(template string) string {
	levels := strings.Split(template, "/")
	for i, level := range levels {
		if strings.Contains(level, "{") {
			levels[i] = "+"
		}
	}
	return strings.Join(levels, "/")
}

// Match takes a topic apart along a template and returns what stands for each placeholder; false when the topic is not of
// that template. One placeholder a level.
func Match(template, topic string) (map[string]string, bool) {
	want, have := strings.Split(template, "/"), strings.Split(topic, "/")
	if len(want) != len(have) {
		return nil, false
	}
	found := map[string]string{}
	for i, w := range want {
		before, rest, isVar := strings.Cut(w, "{")
		if !isVar {
			if w != have[i] {
				return nil, false
			}
			continue
		}
		name, after, _ := strings.Cut(rest, "}")
		h := have[i]
		if len(h) <= len(before)+len(after) || !strings.HasPrefix(h, before) || !strings.HasSuffix(h, after) {
			return nil, false
		}
		value := h[len(before) : len(h)-len(after)]
		if old, seen := found[name]; seen && old != value {
			return nil, false
		}
		found[name] = value
	}
	return found, true
}

// CheckLevel says why s cannot stand for a placeholder in a topic: it must be one level, without wildcards or spaces,
// and not start a $-topic.
func CheckLevel(s string) error {
	if s == "" {
		return fmt.Errorf("is empty")
	}
	if i := strings.IndexAny(s, "/+#$ \t\r\n\x00"); i >= 0 {
		return fmt.Errorf("holds %q, which a topic level must not", s[i])
	}
	return nil
}

// What a gateway publishes to see whether it is delivered is {"echo":"…"} with 16 hex digits.
const (
	echoHead   = `{"echo":"`
	echoTail   = `"}`
	echoDigits = 16
)

// IsEcho reports whether a payload is no device's: a gateway tries with it whether the server delivers a topic.
func IsEcho(p []byte) bool {
	digits, ok := strings.CutPrefix(string(p[:min(len(p), len(echoHead)+echoDigits+len(echoTail)+1)]), echoHead)
	digits, whole := strings.CutSuffix(digits, echoTail)
	return ok && whole && len(digits) == echoDigits && strings.Trim(digits, "0123456789abcdef") == ""
}
