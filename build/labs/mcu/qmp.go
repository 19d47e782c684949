package mcu

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"time"
)

// monitor is qemu's QMP (docs/interop/qmp-spec), one command at a time.
type monitor struct {
	conn net.Conn
	in   *bufio.Scanner
}

// patience is how long qemu may take for an answer.
const patience = 10 * time.Second

func newMonitor(path string) (*monitor, error) {
	conn, err := net.Dial("unix", path)
	if err != nil {
		return nil, err
	}
	m := &monitor{conn: conn, in: bufio.NewScanner(conn)}
	m.in.Buffer(nil, 1<<20)
	if err := m.do("qmp_capabilities", nil, nil); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return m, nil
}

func (m *monitor) close() { _ = m.conn.Close() }

// do waits for the answer to a command; greeting and events are passed over.
func (m *monitor) do(command string, arguments map[string]any, result any) error {
	ask := map[string]any{"execute": command}
	if arguments != nil {
		ask["arguments"] = arguments
	}
	b, err := json.Marshal(ask)
	if err != nil {
		return err
	}
	if err := m.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := m.conn.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("qmp %s: %w", command, err)
	}
	for m.in.Scan() {
		var said struct {
			Return json.RawMessage
			Error  *struct{ Desc string }
		}
		switch err := json.Unmarshal(m.in.Bytes(), &said); {
		case err != nil:
			return fmt.Errorf("qmp %s: %w: %s", command, err, m.in.Bytes())
		case said.Error != nil:
			return fmt.Errorf("qmp %s: %s", command, said.Error.Desc)
		case said.Return != nil && result != nil:
			return json.Unmarshal(said.Return, result)
		case said.Return != nil:
			return nil
		}
	}
	return fmt.Errorf("qmp %s: no answer: %w", command, m.in.Err())
}
