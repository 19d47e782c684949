package kit

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// root stands among the names of tools for the rights that network namespaces need.
const root = "root"

// Missing says which of the tools of [Tools] (or "root") is not there, and what to do about it; nil when all are.
func Missing(names ...string) error {
	for _, name := range names {
		if name == root {
			if os.Geteuid() != 0 {
				return fmt.Errorf("root is needed for network namespaces: run it with sudo")
			}
			continue
		}
		tool, err := FindTool(name)
		if err != nil {
			return err
		}
		if !tool.Installed() {
			return fmt.Errorf("%s is missing: run build/setup.sh, or apt-get install %s", name, strings.Join(tool.Packages, " "))
		}
	}
	return nil
}

// Need skips the test when a tool is missing; in CI, where nothing may be skipped, it fails instead. A name that is in no table
// fails everywhere.
func Need(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := FindTool(name); err != nil && name != root {
			t.Fatal(err)
		}
	}
	err := Missing(names...)
	if err == nil {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal(err)
	}
	t.Skip(err)
}
