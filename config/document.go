package config

// Document is the whole configuration of a gateway, as the YAML file has it. Start from [Defaults]; the zero value is of no
// use. The tags say what the reader enforces: oneof (allowed words), from (allowed words that another package knows), min and
// max (inclusive), and unsupported (a key without effect in this version: a value other than the default gives a warning).
type Document struct {
	Device    Device                   `yaml:"device"`
	StateDir  string                   `yaml:"state_dir"` // absolute
	Uplink    Uplink                   `yaml:"uplink"`
	Topics    Topics                   `yaml:"topics"`
	Heartbeat Heartbeat                `yaml:"heartbeat"`
	Serial    map[string]*SerialDevice `yaml:"serial"` // by name, which is also its topic level
	Spool     Spool                    `yaml:"spool"`
	Log       Log                      `yaml:"log"`
	Stats     Stats                    `yaml:"stats"`
	Fleet     Fleet                    `yaml:"fleet"`
	HTTP      HTTP                     `yaml:"http"`
	Hooks     Hooks                    `yaml:"hooks"`
}

// Device says who the gateway is.
type Device struct {
	ID     string   `yaml:"id"` // may hold {hostname} and {mac6}; see [Document.ResolveID]
	Groups []string `yaml:"groups,flow"`
	// run commands: only this machine's own file may name them, never a document of the fleet
	Facts map[string]Fact `yaml:"facts"`
}

// Fact is a command whose output describes the gateway.
type Fact struct {
	Command Command  `yaml:"command,flow"`
	Every   Duration `yaml:"every"`
}

// Command is a program and its arguments, which may be tokens: logs, statuses and bundles show its first word only.
type Command []string

// Shown is the program, and a mark where it has arguments.
func (c Command) Shown() string {
	switch len(c) {
	case 0:
		return ""
	case 1:
		return c[0]
	}
	return c[0] + " " + hidden
}

// bare is the command without its arguments, for a document that others see.
func (c Command) bare() Command {
	if len(c) < 2 {
		return c
	}
	return Command{c[0], hidden}
}

// Topics are the templates of the MQTT topics; {id}, {name}, {group} and {n} stand for one level or a part of one.
type Topics struct {
	State    string `yaml:"state"`
	Info     string `yaml:"info"`
	Data     string `yaml:"data"`
	Reply    string `yaml:"reply"`
	Log      string `yaml:"log"`
	Stats    string `yaml:"stats"`
	Reported string `yaml:"reported"`
	Cmd      string `yaml:"cmd"`
	Config   string `yaml:"config"`
	Group    string `yaml:"group"`
	Probe    string `yaml:"probe"`
}

// Heartbeat says how often a silent link is kept open. With learn off it is fixed at Interval.
type Heartbeat struct {
	Learn         string       `yaml:"learn" oneof:"fast thrifty off"`
	Interval      Duration     `yaml:"interval" min:"1s" max:"65535s"`
	Min           Duration     `yaml:"min" min:"1s" max:"65535s"`
	Max           Duration     `yaml:"max" min:"1s" max:"65535s"`
	Probes        AutoInt      `yaml:"probes"`
	ProbeBudget   ProbeBudget  `yaml:"probe_budget,flow"`
	ProbeAfter    AutoDuration `yaml:"probe_after"`
	ProbeClientID string       `yaml:"probe_client_id"`
	Canary        Canary       `yaml:"canary"`
	WeakMax       Duration     `yaml:"weak_max" max:"65535s"`
	// every nth beat is a stats publish instead of a ping; 0: none
	Report int `yaml:"report" min:"0" max:"100000"`
}

// ProbeBudget bounds what learning may cost, in bytes on the wire.
type ProbeBudget struct {
	Month Size `yaml:"month"` // 0: nothing may be spent
	Burst Size `yaml:"burst"` // 0: as much as Month
}

// Spool says how much waits on the disk while the link is down, and when it is written.
type Spool struct {
	MaxBytes   AutoSize `yaml:"max_bytes"`
	MinFree    Free     `yaml:"min_free"`
	MaxAge     Duration `yaml:"max_age" min:"1s"`
	WhenFull   string   `yaml:"when_full" oneof:"drop_oldest drop_newest"`
	WriteAfter Duration `yaml:"write_after" max:"1h"` // 0: on disk before it is sent
	Sync       Sync     `yaml:"sync"`
	Dir        string   `yaml:"dir"` // may hold {state_dir}; see [Document.SpoolDir]
}

// Log says what is logged, and how much of it goes to the fleet.
type Log struct {
	Level      string `yaml:"level" oneof:"trace debug info warn error"`
	Ship       string `yaml:"ship" oneof:"trace debug info warn error off" unsupported:"true"`
	ShipBudget Size   `yaml:"ship_budget" unsupported:"true"` // bytes a day
	Compress   string `yaml:"compress" oneof:"none gzip" unsupported:"true"`
}

// Stats says how often the counters are published.
type Stats struct {
	Every Duration `yaml:"every"` // 0: never
}

// Fleet says what the fleet may change from afar.
type Fleet struct {
	Accept        []string `yaml:"accept,flow" unsupported:"true"`
	TrustedKeys   []string `yaml:"trusted_keys,flow" unsupported:"true"`
	ConfirmWithin Duration `yaml:"confirm_within" min:"1s" unsupported:"true"`
}

// HTTP is the local status page.
type HTTP struct {
	Listen string `yaml:"listen"` // host:port; "": none
}

// Hooks are commands to run on a change of the link, each as program and arguments; no shell sees them. Only this machine's own
// file may name them.
type Hooks struct {
	Up   Command `yaml:"up,flow"`
	Down Command `yaml:"down,flow"`
}
