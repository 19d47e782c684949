// Package labs is the table of the laboratories: the real agent before real brokers, networks and devices, with goals. A new one
// is a folder here and a row in [All].
package labs

import (
	"github.com/linkbeat/linkbeat/build/internal/kit"
	"github.com/linkbeat/linkbeat/build/labs/console"
	"github.com/linkbeat/linkbeat/build/labs/delivered"
	"github.com/linkbeat/linkbeat/build/labs/heartbeat"
	"github.com/linkbeat/linkbeat/build/labs/hostile"
	"github.com/linkbeat/linkbeat/build/labs/mcu"
	"github.com/linkbeat/linkbeat/build/labs/modbus"
	"github.com/linkbeat/linkbeat/build/labs/ports"
	"github.com/linkbeat/linkbeat/build/labs/serial"
	"github.com/linkbeat/linkbeat/build/labs/uplink"
)

// All of them, in the order in which `make` names them.
func All() []kit.Lab {
	return []kit.Lab{
		heartbeat.Lab(),
		uplink.Lab(),
		serial.Lab(),
		modbus.Lab(),
		ports.Lab(),
		console.Lab(),
		mcu.Lab(),
		hostile.Lab(),
		delivered.Lab(),
	}
}
