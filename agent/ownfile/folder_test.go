package ownfile

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMakeFolder(t *testing.T) {
	dir := t.TempDir()
	deep := filepath.Join(dir, "state", "spool", "data")
	for _, what := range []string{"that is missing, with those above", "that is there"} {
		if err := MakeFolder(deep); err != nil {
			t.Fatalf("one %s: %v", what, err)
		}
		for at := deep; at != dir; at = filepath.Dir(at) {
			if info, err := os.Stat(at); err != nil || info.Mode() != os.ModeDir|0o700 {
				t.Errorf("one %s: %s: %v, %v", what, at, info, err)
			}
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{"file", "file/below"} {
		if MakeFolder(filepath.Join(dir, at)) == nil {
			t.Errorf("%s was made", at)
		}
	}
}
