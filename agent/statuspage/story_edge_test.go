package statuspage

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"testing"

	"github.com/linkbeat/linkbeat/agent/printable/printabletest"
)

// TestNoControlOfAStrangerIsOnThePage: whatever the agent's own strings hold, each answer is printable and JSON still JSON.
func TestNoControlOfAStrangerIsOnThePage(t *testing.T) {
	for _, c := range printabletest.Controls() {
		s := printabletest.Marked(c)
		page := New(Options{Healthy: func() error { return errors.New(s) }, Status: func() Status {
			return Status{ID: s, Why: s, Uplink: Uplink{State: s, Server: s}, Facts: map[string]string{s: s},
				Serial: map[string]Serial{s: {Port: s, Why: s, Units: map[string]Unit{s: {Why: s}}}}}
		}})
		for _, path := range []string{"/status", "/healthz", "/readyz", "/metrics"} {
			r := httptest.NewRequest("GET", path, nil)
			r.Host = "127.0.0.1"
			w := httptest.NewRecorder()
			page.Handler().ServeHTTP(w, r)
			if passed := printabletest.Passed(w.Body.Bytes()); passed != nil || w.Body.Len() == 0 {
				t.Errorf("%s: %s lets %v pass: %q", c.Name, path, passed, w.Body)
			}
			if path == "/status" && !json.Valid(bytes.TrimSpace(w.Body.Bytes())) {
				t.Errorf("%s: no JSON: %s", c.Name, w.Body)
			}
		}
	}
}
