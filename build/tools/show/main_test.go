package main

import (
	"testing"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

func TestEveryTargetNeedsToolsOfTheTable(t *testing.T) {
	for _, target := range targets() {
		if _, err := kit.ToInstall(target.needs); err != nil {
			t.Errorf("%s: %v", target.name, err)
		}
		if target.limit <= 0 || target.run == nil {
			t.Errorf("%s has no limit, or nothing to run", target.name)
		}
	}
}
