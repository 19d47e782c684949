package agent

import (
	"strings"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/transport"
)

func TestAccess(t *testing.T) {
	a, now := &access{}, time.Unix(1e9, 0)
	if !a.next("a", now) || a.why("a") != "" || a.get("a") != nil {
		t.Error("something is known of a server that was never tried")
	}
	a.checked("a", map[string]string{"data": transport.EchoOK, "log": transport.EchoDenied, "stats": transport.EchoUnknown}, now)
	a.checked("b", map[string]string{"data": transport.EchoOK}, now)
	if why := a.why("a"); !strings.Contains(why, "deny log;") || a.why("b") != "" {
		t.Errorf("why %q, of the other %q", why, a.why("b"))
	}
	for server, again := range map[string]bool{"a": true, "b": false} {
		if a.next(server, now.Add(time.Hour)) || a.next(server, now.Add(accessAgain)) != again {
			t.Errorf("%s is tried again: %v", server, again)
		}
	}
	if a.forget(); !a.next("b", now) {
		t.Error("a reload forgets nothing")
	}
}
