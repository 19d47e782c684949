package kit

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Doc is a configuration document under construction.
type Doc map[string]any

// Set puts a value at a dotted path ("uplink.detect_within"), making the maps on the way, and returns the document.
func (d Doc) Set(path string, value any) Doc {
	keys := strings.Split(path, ".")
	m := map[string]any(d)
	for _, k := range keys[:len(keys)-1] {
		next, ok := m[k].(map[string]any)
		if !ok {
			next = map[string]any{}
			m[k] = next
		}
		m = next
	}
	m[keys[len(keys)-1]] = value
	return d
}

// YAML renders the document.
func (d Doc) YAML() ([]byte, error) {
	b, err := yaml.Marshal(map[string]any(d))
	if err != nil {
		return nil, fmt.Errorf("render the configuration: %w", err)
	}
	return b, nil
}

// NewDoc is the document the tests start from: a fixed beat of 2 s, detect_within 6 s, quick backoff, nothing but what
// is said here differing from the defaults.
func NewDoc(id string, servers ...string) Doc {
	list := make([]any, len(servers))
	for i, url := range servers {
		list[i] = map[string]any{"url": url}
	}
	d := Doc{}
	return d.Set("device.id", id).Set("uplink.servers", list).
		Set("uplink.detect_within", "6s").Set("uplink.backoff.min", "1s").Set("uplink.backoff.max", "2s").
		Set("heartbeat.learn", "off").Set("heartbeat.interval", "2s").Set("heartbeat.min", "1s")
}

// Line adds a device with the framer `line`.
func (d Doc) Line(name, port string) Doc {
	return d.Set("serial."+name, map[string]any{
		"port": port, "baud": 115200, "frame": map[string]any{"type": "line", "max": "4KiB"}})
}
