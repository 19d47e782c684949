package serialport

import (
	"testing"
	"time"
)

func TestLineRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		line Line
		port string
	}{
		"a flow of its own":      {Line{Flow: "dtr"}, "/dev/x"},
		"an unknown mode":        {Line{RS485: RS485{Mode: "dtr"}}, "/dev/x"},
		"RTS twice":              {Line{Flow: FlowRTSCTS, RS485: RS485{Mode: RS485Kernel}}, "/dev/x"},
		"a delay of half a ms":   {Line{RS485: RS485{Mode: RS485Kernel, Before: time.Millisecond / 2}}, "/dev/x"},
		"a long delay":           {Line{RS485: RS485{Mode: RS485RTS, After: time.Second}}, "/dev/x"},
		"gpio without a chip":    {Line{RS485: RS485{Mode: RS485GPIO}}, "/dev/x"},
		"rs485 over the network": {Line{RS485: RS485{Mode: RS485RTS}}, "tcp://a:1"},
	} {
		if err := c.line.Check(c.port); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for _, good := range []Line{{}, {Flow: FlowRTSCTS, RS485: RS485{Mode: RS485GPIO, Chip: "gpiochip0"}}} {
		if err := good.Check("/dev/x"); err != nil {
			t.Error(err)
		}
	}
}
