package agent

import (
	"testing"

	"github.com/linkbeat/linkbeat/agent/spool"
)

// openTestSpool is an empty spool on the disk of the test, that writes nothing before it is full.
func openTestSpool(t *testing.T) *spool.Spool {
	t.Helper()
	s, err := spool.Open(spool.Dir(t.TempDir()), spool.Options{WriteAfter: 1 << 50})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}
