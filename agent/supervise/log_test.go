package supervise

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/linkbeat/linkbeat/agent/printable/printabletest"
)

// TestNoControlOfAStrangerReachesTheLog: whatever kind of field holds it.
func TestNoControlOfAStrangerReachesTheLog(t *testing.T) {
	for _, c := range printabletest.Controls() {
		s := printabletest.Marked(c)
		var out bytes.Buffer
		log := NewLog(&out, &Level{})
		log.Info().Str("why", s).Err(errors.New(s)).Strs("command", []string{s}).Interface("verdict",
			map[string]any{s: []string{s}}).
			Bytes("output", []byte(s)).Str(s, s).Msg(s)
		if passed := printabletest.Passed(out.Bytes()); passed != nil || !json.Valid(out.Bytes()) {
			t.Errorf("%s: %v pass: %q", c.Name, passed, out.Bytes())
		}
	}
}

func TestALogLineIsBounded(t *testing.T) {
	var out bytes.Buffer
	log := NewLog(&out, &Level{})
	log.Info().Str("why", strings.Repeat("x", 1<<20)).Str("server", "21 °C").Msg("refused")
	var line struct{ Why, Server, Message string }
	if err := json.Unmarshal(out.Bytes(), &line); err != nil || len(line.Why) != maxLogged+len("…") || line.Server != "21 °C" ||
		line.Message != "refused" {
		t.Errorf("%d bytes, %v", out.Len(), err)
	}
}
