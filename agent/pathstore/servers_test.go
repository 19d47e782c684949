package pathstore

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/linkbeat/linkbeat/transport"
)

// What a server does not take is known after a restart, for the rest of its day; a clock that jumped neither forgets it nor keeps
// it for ever.
func TestWhatAServerDoesNotTakeIsKept(t *testing.T) {
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	now, unset := storeNow, false
	open := func() *Store {
		return Open(root, zerolog.Nop(), func() time.Time { return now }, func() bool { return unset })
	}
	m := open()
	m.SaveRefused("mqtt://a", []string{"will_retain", "retain"})
	m.SaveRefused("mqtt://b", []string{"will"})
	m.SaveRefused("mqtt://b", nil)
	m.write()
	for name, c := range map[string]struct {
		ahead time.Duration
		unset bool
		again time.Duration
	}{
		"an hour later":           {time.Hour, false, transport.AskAgain - time.Hour},
		"ten years later":         {10 * 365 * 24 * time.Hour, false, 0},
		"ten years, not believed": {10 * 365 * 24 * time.Hour, true, transport.AskAgain},
		"in 1970":                 {-56 * 365 * 24 * time.Hour, true, transport.AskAgain},
		"set back":                {-time.Hour, false, transport.AskAgain},
	} {
		now, unset = storeNow.Add(c.ahead), c.unset
		what, again := open().Refused("mqtt://a")
		if !slices.Equal(what, []string{"will_retain", "retain"}) || again != c.again {
			t.Errorf("%s: %q, again in %v", name, what, again)
		}
	}
	now, unset = storeNow, false
	if what, _ := open().Refused("mqtt://b"); what != nil {
		t.Errorf("b: %q", what)
	}
	m = open()
	for i := range 200 {
		m.SaveRefused(fmt.Sprintf("mqtt://%d", i), []string{"retain"})
	}
	m.SaveRefused("mqtt://c", make([]string, 100))
	if len(m.doc.Servers) > storeServers {
		t.Errorf("%d servers", len(m.doc.Servers))
	}
}
