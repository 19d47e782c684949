package mcu

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// poll is how often the slave's registers are read.
const poll = 100 * time.Millisecond

func slaveDocument() map[string]any {
	return map[string]any{"address": 17, "every": poll.String(), "registers": map[string]any{
		"uptime":   map[string]any{"address": 0, "type": "uint32"},
		"count":    map[string]any{"address": 2, "type": "uint32"},
		"led":      map[string]any{"address": 4, "writable": true},
		"period":   map[string]any{"address": 5, "writable": true},
		"setpoint": map[string]any{"address": 6, "type": "int16", "scale": 0.1, "writable": true},
		"ratio":    map[string]any{"address": 8, "type": "float32", "order": "cdab", "writable": true},
		"model":    map[string]any{"address": 12, "type": "string", "count": 4, "writable": true},
		"locked":   map[string]any{"address": 3, "writable": true, "write_only": true}}}
}

// record is what the unit said.
type record struct {
	TS     int64                      `json:"ts"`
	Values map[string]json.RawMessage `json:"values"`
	Bad    map[string]string          `json:"bad"`
}

func (s *scene) records() (all []record, err error) {
	for _, a := range s.Books.Arrivals(s.Agent.Topic("up/data/" + unit)) {
		var r record
		if err := json.Unmarshal(a.Payload, &r); err != nil {
			return nil, fmt.Errorf("record of %s: %w: %s", unit, err, a.Payload)
		}
		all = append(all, r)
	}
	return all, nil
}

// slave looks at the polls so far, then writes and reads back.
func (s *scene) slave(t *kit.Table) error {
	all, err := s.records()
	if err != nil {
		return err
	}
	back, last := 0, int64(-1)
	for _, r := range all {
		var uptime int64
		if err := json.Unmarshal(r.Values["uptime"], &uptime); err != nil || uptime < last || len(r.Bad) > 0 {
			back++
		}
		last = uptime
	}
	t.NoSlower("modbus: records of polls, one each "+poll.String(), float64(len(all)), s.o.Watch.Seconds()/poll.Seconds()*0.8, "")
	t.Exactly("modbus: records with a bad value, or whose clock ran backwards", back, 0, "", "")
	if err := s.writes(t); err != nil {
		return err
	}
	for _, x := range []struct{ what, pdu, want string }{
		{"function 43 is ILLEGAL FUNCTION", "2b0e0100", "ab01"},
		{"register 16 is ILLEGAL DATA ADDRESS", "0300100001", "8302"},
		{"15 and 16 together too", "03000f0002", "8302"},
		{"126 registers are ILLEGAL DATA VALUE", "030000007e", "8303"},
		{"LED 256 is ILLEGAL DATA VALUE", "0600040100", "8603"},
		{"two registers by hand", "10000a000204cafe0001", "10000a0002"},
		{"and what was written", "03000a0002", "0304cafe0001"},
	} {
		r, _, err := s.Command(unit, "request", map[string]any{"hex": x.pdu})
		if err == nil && r.Hex != x.want {
			err = fmt.Errorf("%+v", r)
		}
		t.Check("modbus request: "+x.what, err)
	}
	r, _, err := s.Command(unit, "write", map[string]any{"values": map[string]any{"locked": 1}})
	if err == nil && (r.OK || !strings.Contains(r.Detail, "ILLEGAL DATA ADDRESS")) {
		err = fmt.Errorf("%+v", r)
	}
	t.Check("modbus write: a register that cannot be written is refused by the standard's name", err)
	status, err := s.Agent.Status()
	if err != nil {
		return err
	}
	u := status.Serial[bus].Units[unit]
	t.Exactly("modbus: polls that timed out", int(u.Timeouts-s.deaf), 0, fmt.Sprintf("of %d", u.Polls), u.Why)
	t.Exactly("modbus: bad answers", int(u.BadAnswers), 0, "", u.Why)
	return nil
}

// writes changes values of each kind; the LEDs are compared at the board, the period at the telemetry.
func (s *scene) writes(t *kit.Table) error {
	wrong := 0
	var first error
	var slowest time.Duration
	for i := range s.o.Writes {
		led := rand.IntN(256)
		for name, want := range map[string]string{"led": fmt.Sprint(led), "setpoint": fmt.Sprintf("%d.5", i-50),
			"ratio": fmt.Sprintf("%d.25", i-50), "model": fmt.Sprintf(`"mcu-%d"`, i)} {
			r, took, err := s.Command(unit, "write", map[string]any{"values": map[string]any{name: json.RawMessage(want)}})
			if err != nil {
				return err
			}
			slowest = max(slowest, took)
			if !r.OK || string(r.Values[name]) != want {
				wrong++
				first = fmt.Errorf("%s: wrote %s: %+v", name, want, r)
			}
		}
		if err := s.board.lit(uint32(led)); err != nil {
			wrong, first = wrong+1, err
		}
	}
	note := ""
	if first != nil {
		note = first.Error()
	}
	t.Exactly("modbus: writes that were not read back, or did not change the LEDs", wrong, 0,
		fmt.Sprintf("of %d", 4*s.o.Writes), note)
	t.Info("modbus: from a write to its values read back, at the broker, worst", ms(slowest), "ms")
	return nil
}
