package ports

import (
	"os"
	"testing"
)

func TestAPortIsFoundAgain(t *testing.T) {
	lab, o := Lab(), short()
	lab.Needs = nil // nothing of the short form is in a namespace
	if os.Geteuid() != 0 {
		t.Log("without root no uevents can be made: only looking twice a second is shown")
		o.Heard = 0
	}
	lab.Short = o.run
	lab.Test(t)
}
