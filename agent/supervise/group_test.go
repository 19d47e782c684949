package supervise

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// recorder notes the order in which parts end.
type recorder struct {
	mu    sync.Mutex
	ended []string
}

func (r *recorder) part(name string, run func(ctx context.Context) error) Part {
	return Part{Name: name, Run: func(ctx context.Context) error {
		err := run(ctx)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.ended = append(r.ended, name)
		return err
	}}
}

func untilDone(ctx context.Context) error { <-ctx.Done(); return nil }

func TestGroupStopsInReverse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r recorder
		slowly := func(ctx context.Context) error { <-ctx.Done(); time.Sleep(time.Second); return nil }
		g := Group{r.part("spool", untilDone), r.part("link", slowly), r.part("devices", slowly)}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := g.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if want := []string{"devices", "link", "spool"}; !slices.Equal(r.ended, want) {
			t.Fatalf("ended %v, want %v", r.ended, want)
		}
	})
}

func TestGroupEndsWithTheFirstFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r recorder
		broken := errors.New("no such device")
		g := Group{r.part("spool", untilDone), r.part("link", func(context.Context) error { return broken }),
			r.part("devices", untilDone)}
		err := g.Run(t.Context())
		if !errors.Is(err, broken) || !strings.Contains(err.Error(), "link") {
			t.Fatalf("%v", err)
		}
		if len(r.ended) != 3 {
			t.Fatalf("ended %v", r.ended)
		}
	})
}

func TestGroupAbandonsWhatIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		g := Group{{Name: "disk", Run: func(context.Context) error { <-release; return nil }, Stop: 3 * time.Second}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		err := g.Run(ctx)
		if err == nil || !strings.Contains(err.Error(), "disk did not stop within 3s") || time.Since(start) != 4*time.Second {
			t.Fatalf("%v after %s", err, time.Since(start))
		}
		close(release)
	})
}
