package agent

import (
	"maps"
	"slices"
	"sort"

	"github.com/linkbeat/linkbeat/agent/downlink"
	"github.com/linkbeat/linkbeat/config"
	bridge "github.com/linkbeat/linkbeat/firmware-bridge"
	"github.com/linkbeat/linkbeat/firmware-bridge/modbus"
)

func limitsOf(s *config.SerialDevice) downlink.Limits {
	r := s.Requests
	l := downlink.Limits{Max: int(r.Max.Int64()), Timeout: r.Timeout.Std(), Silence: r.Silence.Std()}
	l.PerMinute, l.Burst = r.Rate()
	for _, prefix := range r.Allow {
		l.Allow = append(l.Allow, prefix)
	}
	return l
}

func modbusOf(s *config.SerialDevice) *bridge.ModbusOptions {
	m := s.Modbus
	o := &bridge.ModbusOptions{Protocol: modbus.Protocol(s.ModbusProtocol()), Timeout: m.Timeout.Std(), Retries: m.Retries,
		Turnaround: m.Turnaround.Std(), MaxBlock: m.MaxBlock, Gap: m.Gap}
	for _, name := range slices.Sorted(maps.Keys(s.Units)) {
		u := s.Units[name]
		unit := bridge.ModbusUnit{Name: name, Address: byte(u.Address), OnChange: u.Report == "change",
			MaxSilence: u.MaxSilence.Std()}
		names := slices.Sorted(maps.Keys(u.Registers))
		sort.SliceStable(names, func(i, j int) bool { // the order in which values are written
			return u.Registers[names[i]].Address < u.Registers[names[j]].Address
		})
		for _, key := range names {
			unit.Registers = append(unit.Registers, registerOf(key, u, u.Registers[key]))
		}
		o.Units = append(o.Units, unit)
	}
	return o
}

func registerOf(name string, u *config.Unit, r *config.Register) modbus.Register {
	kind, err := modbus.ParseKind(r.Kind)
	if err != nil { // config allows no kind that modbus does not know
		kind = modbus.Holding
	}
	order := modbus.Order(r.Order)
	switch order {
	case "big":
		order = "abcd"
	case "little":
		order = "dcba"
	}
	out := modbus.Register{Name: name, Kind: kind, Address: uint16(r.Address), Type: modbus.Type(r.Type), Order: order,
		Bit: r.Bit, Count: r.Count, Scale: r.Scale, Offset: r.Offset, Unit: r.Unit, Every: u.Every.Std(), Deadband: r.Deadband,
		Writable: r.Writable, WriteOnly: r.WriteOnly}
	if r.Every > 0 {
		out.Every = r.Every.Std()
	}
	if r.WriteOnly {
		out.Every = 0
	}
	return out
}
