package kit

import (
	"slices"
	"strings"
	"testing"
)

func TestTheTableOfToolsIsWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, tool := range Tools() {
		if tool.Name == "" || len(tool.Packages) == 0 || seen[tool.Name] {
			t.Errorf("%+v: no name, no package, or twice", tool)
		}
		seen[tool.Name] = true
	}
}

func TestOnlyWhatIsMissingIsInstalled(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	got, err := ToInstall([]string{"root", "sz", "rz", "gcc"})
	if want := []string{"lrzsz", "gcc", "libc6-dev"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
	if err := Missing("ser2net"); err == nil || !strings.Contains(err.Error(), "apt-get install ser2net") {
		t.Errorf("Missing says %v", err)
	}
	if _, err := ToInstall([]string{"sox"}); err == nil {
		t.Error("a tool that is in no table passes")
	}
	if names := TestTools(); slices.Contains(names, "clang") || !slices.Contains(names, "mosquitto") {
		t.Errorf("make test needs %q", names)
	}
}
