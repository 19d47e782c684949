package bridge

import (
	"errors"
	"io"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/linkbeat/linkbeat/firmware-bridge/modbus"
	"github.com/linkbeat/linkbeat/firmware-bridge/serialport/porttest"
)

// What a path or a send queue still holds of a write that was given up must not arrive. What the PLC's kernel has received
// already is beyond recall: Linux hands it over even after the reset.
func TestAModbusTCPWriteThatIsNotAnsweredEndsItsConnection(t *testing.T) {
	address, conns := porttest.SerialServer(t)
	x := word("x", 1)
	x.Every = time.Hour
	s := newSite(t, func(o *Options) {
		o.Port, o.OnValues = "tcp://"+address, func(Values) error { return nil }
		o.Modbus = &ModbusOptions{Protocol: modbus.TCP, Timeout: 100 * time.Millisecond,
			Units: []ModbusUnit{{Name: "pump", Address: 1, Registers: []modbus.Register{x}}}}
	})
	s.wantState(Opened)
	plc := porttest.Recv(t, conns, "the connection")
	poll := make([]byte, 12)
	if _, err := io.ReadFull(plc, poll); err != nil || poll[7] != 3 {
		t.Fatalf("%x, %v", poll, err)
	}
	done := make(chan error, 1)
	if err := s.dev.Set("pump", map[string]string{"x": "1"}, time.Now().Add(time.Minute),
		func(_ Answer, err error) { done <- err }); err != nil {
		t.Fatal(err)
	}
	if err := porttest.Recv(t, done, "the write"); !errors.Is(err, ErrNoAnswer) {
		t.Error(err)
	}
	if _, err := io.ReadAll(plc); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("the connection was not reset: %v", err)
	}
	s.wantState(Absent)
	s.wantState(Opened)
	porttest.Recv(t, conns, "the next connection")
}
