package config

import (
	"time"

	"github.com/linkbeat/linkbeat/transport/heartbeat"
)

const (
	second = Duration(time.Second)
	minute = Duration(time.Minute)
	day    = Duration(24 * time.Hour)

	kib = Size(1 << 10)
	mib = Size(1 << 20)
)

// DefaultStateDir is where the agent keeps what must survive a restart.
const DefaultStateDir = "/var/lib/linkbeat"

// Defaults is the document of an empty file. It lacks only uplink.servers.
func Defaults() *Document {
	return &Document{
		Device:   Device{ID: "{hostname}-{mac6}"},
		StateDir: DefaultStateDir,
		Uplink: Uplink{
			Window: 32, MaxPayload: 128 * kib, DetectWithin: minute,
			Keepalive: Keepalive{Auto: true}, KeepaliveCeiling: 1170 * second,
			TimeFloor:  "build",
			Retain:     "auto",
			Backoff:    Backoff{Min: second, Max: 2 * minute, Refused: 15 * minute},
			ReplayRate: AutoRate{Auto: true}, Budget: Budget{ResetsOn: 1},
		},
		Topics: Topics{
			State: "lb/{id}/up/state", Info: "lb/{id}/up/info", Data: "lb/{id}/up/data/{name}",
			Reply: "lb/{id}/up/reply/{name}", Log: "lb/{id}/up/log", Stats: "lb/{id}/up/stats",
			Reported: "lb/{id}/up/config/reported", Cmd: "lb/{id}/dn/cmd/{name}",
			Config: "lb/{id}/dn/config/desired", Group: "lb/group/{group}/config/desired",
			Probe: "lb/{id}/dn/probe/{n}",
		},
		Heartbeat: Heartbeat{
			Learn: "thrifty", Interval: minute, Min: Duration(heartbeat.DefaultMin), Max: Duration(heartbeat.DefaultMax),
			Probes: AutoInt{Auto: true}, ProbeBudget: ProbeBudget{Month: mib, Burst: 128 * kib},
			ProbeAfter: AutoDuration{Auto: true}, ProbeClientID: "{id}-p{n}", Canary: auto,
		},
		Serial: map[string]*SerialDevice{},
		Spool: Spool{
			MaxBytes: AutoSize{Auto: true}, MinFree: Free{Percent: 10}, MaxAge: 7 * day,
			WhenFull: "drop_oldest", WriteAfter: 5 * second, Sync: Sync(time.Second), Dir: "{state_dir}/spool",
		},
		Log:   Log{Level: "info", Ship: "warn", ShipBudget: 64 * kib, Compress: "gzip"},
		Stats: Stats{Every: 15 * minute},
		Fleet: Fleet{Accept: []string{"heartbeat", "log"}, ConfirmWithin: 2 * minute},
		HTTP:  HTTP{Listen: "127.0.0.1:8077"},
	}
}

// DefaultSerial is a serial device that says only its port.
func DefaultSerial() *SerialDevice {
	return &SerialDevice{
		Baud: 9600, Mode: Mode{DataBits: 8, Parity: 'N', StopBits: 1}, Flow: "none",
		Frame: Frame{Type: frameLine, Max: 4 * kib}, Format: "json", Encoding: auto,
		Compress: "none", Priority: "normal",
		Requests: Requests{Limit: auto, Timeout: second},
		Modbus:   Modbus{Protocol: auto, Timeout: 300 * second / 1000, Retries: 1, MaxBlock: 125, Gap: 8},
	}
}
