package discover

import (
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/linkbeat/linkbeat/firmware-bridge/serialport/porttest"
)

func TestHoldersFillsInWhoHasAPort(t *testing.T) {
	c := porttest.NewCable(t)
	f, err := os.OpenFile(c.Path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	cat := exec.Command("cat")
	cat.ExtraFiles = []*os.File{f}
	in, err := cat.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cat.Start(); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	ports := []PortInfo{{Path: "/dev/not-this-one"}, {Path: c.Path}}
	Holders(ports)
	if ports[0].InUse != "" || ports[1].InUse != "cat, pid "+strconv.Itoa(cat.Process.Pid) {
		t.Errorf("%+v", ports)
	}
	_ = in.Close()
	if err := cat.Wait(); err != nil {
		t.Fatal(err)
	}
}
