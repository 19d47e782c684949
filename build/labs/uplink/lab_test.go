package uplink

import (
	"os"
	"strings"
	"testing"
)

func TestUplink(t *testing.T) {
	lab := Lab()
	if only := os.Getenv("LAB_UPLINK_ONLY"); only != "" { // for a person at work on one cell
		o := short()
		all, seen := append(o.cells, full().cells...), map[string]bool{}
		o.cells = nil
		for _, c := range all {
			if strings.Contains(c.name, only) && !seen[c.name] {
				o.cells, seen[c.name] = append(o.cells, c), true
			}
		}
		lab.Short = o.run
	}
	lab.Test(t)
}
