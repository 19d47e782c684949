package discover

import (
	"os"
	"testing"

	"github.com/linkbeat/linkbeat/firmware-bridge/serialport/porttest"
)

// The kernel's own uevents, of a tty that is there: root may ask for one.
func TestUeventsOfTheKernel(t *testing.T) {
	events, err := listenUevents()
	if err != nil {
		t.Skip("no uevents here: ", err)
	}
	defer events.Close()
	if err := os.WriteFile("/sys/class/tty/tty/uevent", []byte("change"), 0); err != nil {
		t.Skip("only root can make one: ", err)
	}
	heard := make(chan Uevent, 16)
	go func() {
		for {
			e, err := events.Next()
			if err != nil {
				return
			}
			heard <- e
		}
	}()
	for {
		if e := porttest.Recv(t, heard, "a uevent"); e.Subsystem == "tty" && e.Action == "change" {
			return
		}
	}
}
