package e2e

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/agent/demo"
)

// buildAgent builds the real one.
func buildAgent(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "linkbeat")
	if out, err := exec.Command("go", "build", "-o", program, "../../../cmd/linkbeat").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return program
}

// The demo in short: the real agent, a pty, the NAT with a cut, the broker. It is too short for commands; the agent has learnt
// some of the limit by then, and no more than there is.
func TestDemoLosesNothing(t *testing.T) {
	var out strings.Builder
	o, err := demo.Run(t.Context(), demo.Options{Out: &out, Agent: buildAgent(t), For: 10 * time.Second, Seed: 1})
	if err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	if o.Frames.Sent == 0 || o.Frames.Received != o.Frames.Sent || o.Frames.Lost+o.Frames.Altered != 0 {
		t.Errorf("frames %+v", o.Frames)
	}
	if o.ProvenS <= 0 || o.ProvenS > o.LimitS || o.Dropped != 0 {
		t.Errorf("proven %.2f s of %.2f s, %d connections lost", o.ProvenS, o.LimitS, o.Dropped)
	}
	for _, want := range []string{"CUT: nothing passes", "the path is back", "of silence is proven", "frames of the device",
		"the NAT's hidden limit", "What to try next"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the demo does not say %q:\n%s", want, &out)
		}
	}
}

func TestInterruptEndsTheDemoWithItsSummary(t *testing.T) {
	program := buildAgent(t)
	ctx, cancel := context.WithCancel(t.Context())
	out := &cancelAt{text: "received, 0 lost", cancel: cancel}
	if _, err := demo.Run(ctx, demo.Options{Out: out, Agent: program}); err != nil {
		t.Fatalf("%v\n%s", err, &out.all)
	}
	if !strings.Contains(out.all.String(), "frames of the device") {
		t.Errorf("no summary:\n%s", &out.all)
	}
}

// cancelAt is ctrl-C as soon as text was printed.
type cancelAt struct {
	text   string
	cancel func()
	all    strings.Builder
}

func (c *cancelAt) Write(p []byte) (int, error) {
	if strings.Contains(string(p), c.text) {
		c.cancel()
	}
	return c.all.Write(p)
}
