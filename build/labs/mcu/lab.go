// Package mcu puts a device before the agent that is not Go: firmware in C on a Cortex-M3 of qemu-system-arm, with four UARTs on
// pseudo-terminals. It says sentences, is a Modbus slave, and answers requests in COBS and SLIP frames; its checksums and framing
// share nothing with linkbeat's. What it says is judged by qemu's own copy of what the UART sent.
package mcu

import (
	"fmt"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// Lab is this laboratory's row of the table.
func Lab() kit.Lab {
	return kit.Lab{
		Name: "mcu",
		Promise: "firmware in C on a Cortex-M3: sentences once and in order, commands, COBS and SLIP requests, " +
			"Modbus, 30 replugs",
		Needs: []string{"mosquitto", "qemu-system-arm", "clang", "ld.lld"},
		Takes: 3 * time.Minute, Limit: 15 * time.Minute, Short: short().run, Full: full().run,
	}
}

// options choose how much is shown.
type options struct {
	Watch    time.Duration // telemetry without anything else
	Requests int           // in COBS and in SLIP frames, each
	Writes   int           // to the Modbus slave
	Replugs  int
}

// short is what a test runs where the tools are.
func short() options {
	return options{Watch: 2 * time.Second, Requests: 25, Writes: 5, Replugs: 2}
}

// full is what `make lab-mcu` runs.
func full() options {
	return options{Watch: time.Minute, Requests: 500, Writes: 100, Replugs: 30}
}

// The serial devices of the gateway; a line is the number of its UART.
const (
	sentences = "mcu"
	bus       = "plcbus"
	unit      = "plc"
	cobs      = "cobs"
	slip      = "slip"
)

func lines() []string { return []string{sentences, bus, cobs, slip} }

// scene is the microcontroller, its gateway, and an operator at the broker.
type scene struct {
	*kit.Site
	o     options
	board *board
	ctl   string // the operator's program
	deaf  int64  // polls that timed out before qemu read from the line for the first time
}

// run shows all of it.
func (o options) run(e *kit.Env, t *kit.Table) error {
	t.Say("the firmware (C, clang -mcpu=cortex-m3) runs on qemu-system-arm -machine mps2-an385, " +
		"its four UARTs on pseudo-terminals of")
	t.Say("qemu's; the gateway finds each through a symbolic link. qemu does not pace the UARTs: baud rates are not tried here.")
	t.Say("sent is what qemu's own log of a UART holds; arrived is what a subscriber at mosquitto got. " +
		"The processor is halted until")
	t.Say("the harness holds the other end, as a driver would, then runs at once, whether or not the gateway has noticed; " +
		"before a plug")
	t.Say("is pulled it is halted where it happens to be, and the last byte waited for: " +
		"the kernel throws away what no one has read.")
	s, err := build(e, o)
	if err != nil {
		return err
	}
	for _, step := range []func(*kit.Table) error{s.telemetry, s.commands, s.spoiled, s.frames, s.slave, s.replugs, s.books} {
		if err := step(t); err != nil {
			return fmt.Errorf("%w\nagent: %s\nqemu: %s", err, s.Agent.Proc().Tail(15), s.board.proc.Tail(5))
		}
	}
	return nil
}

func build(e *kit.Env, o options) (s *scene, err error) {
	s = &scene{o: o}
	dir, err := e.Sub("bin")
	if err != nil {
		return nil, err
	}
	s.ctl = dir + "/linkbeatctl"
	if err := kit.Build(e.Ctx, "cmd/linkbeatctl", s.ctl); err != nil {
		return nil, err
	}
	if s.board, err = newBoard(e); err != nil {
		return nil, err
	}
	if s.Site, err = e.Site(kit.SiteOptions{ID: "gw", Doc: s.document}); err != nil {
		return nil, err
	}
	if err := s.board.plugIn(); err != nil {
		return nil, err
	}
	if err := s.Agent.StartUp(); err != nil {
		return nil, err
	}
	return s, s.listens()
}

// listens waits until qemu reads from its pseudo-terminals, which it begins to do up to a second after somebody has opened them.
func (s *scene) listens() error {
	if err := s.Env.Until("the first poll to be answered", patience, func() bool { return s.fresh(0) }); err != nil {
		return err
	}
	status, err := s.Agent.Status()
	if err != nil {
		return err
	}
	s.deaf = status.Serial[bus].Units[unit].Timeouts
	return nil
}

// document adds the devices.
func (s *scene) document(d kit.Doc) {
	frame := map[string]map[string]any{sentences: {"type": "nmea"},
		cobs: {"type": "cobs", "checksum": "crc16/modbus"}, slip: {"type": "slip", "checksum": "crc16/ccitt"}}
	for _, name := range lines() {
		device := map[string]any{"port": s.board.link(name), "baud": 115200, "commands": true,
			"requests": map[string]any{"per_minute": 0}}
		if frame[name] != nil {
			device["frame"] = frame[name]
		} else {
			device["units"] = map[string]any{unit: slaveDocument()}
			device["modbus"] = map[string]any{"timeout": "1s"}
		}
		d.Set("serial."+name, device)
	}
}
