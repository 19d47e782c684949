// Package spooltest opens spools for the tests of other packages.
package spooltest

import (
	"testing"

	"github.com/linkbeat/linkbeat/agent/spool"
)

// Open returns an empty spool on the disk of the test, which writes nothing before it is full. It is closed when the test ends.
func Open(t testing.TB) *spool.Spool {
	t.Helper()
	s, err := spool.Open(spool.Dir(t.TempDir()), spool.Options{WriteAfter: 1 << 50})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}
