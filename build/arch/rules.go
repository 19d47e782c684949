package main

import "slices"

// Rule says what a package may import: of our own module (paths below it), of other modules, and, for pure packages,
// of the standard library. Why is shown when the rule is broken. Tests of a package are free to import more.
type Rule struct {
	Package string
	Own     []string
	Others  []string
	Std     []string // if nil, anything
	NotStd  []string
	Why     string
}

const (
	paho      = "github.com/eclipse/paho.mqtt.golang"
	websocket = "github.com/gorilla/websocket"
	serial    = "go.bug.st/serial"
	zerolog   = "github.com/rs/zerolog"
	yaml      = "go.yaml.in/yaml/v3"
	cobra     = "github.com/spf13/cobra"
	pflag     = "github.com/spf13/pflag"
	unix      = "golang.org/x/sys/unix"
	xproxy    = "golang.org/x/net/proxy"
	mochi     = "github.com/mochi-mqtt/server/v2"
	pty       = "github.com/creack/pty"
)

// Rules of every product package. A package without a rule fails the test: say first where it stands.
func Rules() []Rule {
	return slices.Concat(agentRules(), guardRules(), leafRules(), edgeRules(), []Rule{
		{Package: "transport", Own: []string{"transport/backoff", "transport/brokerurl", "transport/codec", "transport/diagnose",
			"transport/faults", "transport/heartbeat", "transport/internal/client", "transport/internal/learn",
			"transport/internal/terms", "transport/netdial"},
			Others: []string{paho},
			Why:    "the only place that imports the MQTT library; agent translates config into its Options"},
		{Package: "transport/internal/terms",
			Why: "what a server does not take: endings and now come in, what to ask for goes out; it knows no link"},
		{Package: "transport/internal/client",
			Own: []string{"transport/codec", "transport/faults", "transport/netdial"}, Others: []string{paho},
			Why: "a connection comes in, packets go out: short sessions of our own; it dials nothing and decides nothing"},
		{Package: "transport/internal/learn", Own: []string{"transport/codec", "transport/faults", "transport/heartbeat",
			"transport/internal/client", "transport/netdial"},
			Others: []string{paho, unix},
			Why: "how long a path may stay silent; it knows a session only by what MainLink lets it ask, " +
				"and of the library only its packets"},
		{Package: "transport/netdial", Own: []string{"transport/brokerurl", "transport/capped", "transport/faults",
			"transport/heartbeat", "transport/secretfile"},
			Others: []string{websocket, unix, xproxy},
			Why: "servers come in, streams go out, and what they cost; it speaks no MQTT, " +
				"and of the beat it knows the lowest keepalive"},
		{Package: "transport/backoff", Own: []string{"transport/faults"}, Std: []string{"fmt", "hash/maphash", "time"},
			Why: "pure: verdicts and now come in, servers and times go out"},
		{Package: "transport/codec", Own: []string{"transport/faults"},
			Others: []string{paho}, NotStd: []string{"net", "os", "sync", "time", "context"},
			Why: "pure: bytes come in, packets and faults go out; of the library only its packets"},
		{Package: "transport/diagnose", Own: []string{"transport/codec", "transport/faults",
			"transport/internal/client", "transport/netdial"}, Others: []string{paho},
			Why: "one server, once, for a person; it knows no link, and of the library only its packets"},
		{Package: "transport/faults", Others: []string{websocket}, NotStd: []string{"sync"},
			Why: "what an error means, in one place: errors come in, verdicts go out; it opens nothing and waits for nothing"},
		{Package: "transport/heartbeat", Std: []string{"math", "slices", "sort", "time"},
			Why: "pure: now comes in, an action goes out; no clock, goroutine, lock or socket"},
		{Package: "firmware-bridge", Own: []string{"firmware-bridge/discover",
			"firmware-bridge/framing", "firmware-bridge/modbus", "firmware-bridge/serialport"},
			Why: "devices on serial ports; it never sees config, the link or the spool, and no system call"},
		{Package: "firmware-bridge/discover", Own: []string{"firmware-bridge/serialport"},
			Others: []string{unix},
			Why:    "which ports there are and which one is meant; it opens none"},
		{Package: "firmware-bridge/serialport", Others: []string{serial, unix},
			Why: "opens a port and moves its bytes; it knows neither frames nor devices, " +
				"and alone knows the library for serial ports"},
		{Package: "firmware-bridge/serialport/porttest", Others: []string{unix, pty}, NotStd: []string{"net/http"},
			Why: "fake ports, cables and serial servers for tests; serialport's own tests use it, so it imports nothing of ours"},
		{Package: "firmware-bridge/discover/discovertest", NotStd: []string{"net", "os", "syscall"},
			Why: "a sysfs for tests; discover's own tests use it, so it imports nothing of ours"},
		{Package: "firmware-bridge/framing", NotStd: []string{"net", "os", "sync", "syscall", "context", "io/fs"},
			Why: "pure: bytes and a time come in, frames go out"},
		{Package: "firmware-bridge/modbus", NotStd: []string{"net", "os", "sync", "syscall", "context", "io/fs"},
			Why: "pure: what goes on a Modbus line, what comes back, and whose turn it is; now comes in"},
		{Package: "config", Own: []string{"agent/ownfile", "agent/printable", "agent/wire", "firmware-bridge/framing",
			"transport/brokerurl", "transport/capped", "transport/heartbeat", "transport/secretfile"},
			Others: []string{yaml}, NotStd: []string{"net/http", "os/exec"},
			Why: "the fleet document is a public contract; of what it configures it knows only pure leaves: " +
				"which framings, payload formats and URL schemes there are, what learning costs, what a terminal is shown"},
	})
}

// leafRules are those of what transport and others stand on, and of what their tests do.
func leafRules() []Rule {
	return []Rule{
		{Package: "transport/brokerurl", Std: []string{"errors", "net/netip", "net/url", "slices", "strings"},
			Why: "pure: the table of URL schemes, and how a URL is shown; config reads it too, " +
				"and sees nothing else of how a server is reached"},
		{Package: "transport/capped", NotStd: []string{"net", "os/exec", "sync", "time"},
			Why: "how much of a file is read; whoever reads files stands on it, and it knows none of them"},
		{Package: "transport/secretfile", Own: []string{"transport/capped"},
			Std: []string{"errors", "encoding/json", "fmt", "io/fs", "os", "path", "strings"},
			Why: "how files with passwords and keys are read and named, one way for config, netdial and the operator's program"},
		{Package: "transport/brokertest",
			Why: "the real mosquitto and its certificates, for tests; it knows nothing of what is tested, " +
				"and no program carries it"},
		{Package: "transport/transporttest",
			Why: "fake NAT and broker for tests and the demo; it knows nothing of transport"},
	}
}

// edgeRules are those of the programs, and of what they print through.
func edgeRules() []Rule {
	return []Rule{
		{Package: "cmd/internal/cli", Own: []string{"agent/printable"}, Others: []string{cobra, pflag},
			Why: "what a command line is answered with; both programs have it, and it knows nothing of what they do"},
		{Package: "cmd/internal/cli/clitest", Own: []string{"cmd/internal/cli"}, Others: []string{cobra, pflag},
			Why: "for tests: calls every command of a program in every wrong way"},
		{Package: "cmd/linkbeat", Own: []string{"agent", "agent/diag", "agent/estimate", "agent/gate", "agent/ownfile",
			"agent/printable", "agent/probe", "agent/statuspage", "cmd/internal/cli", "config", "firmware-bridge/discover"},
			Others: []string{cobra, zerolog},
			Why:    "flags, signals, exit codes; it must not know how a link or a spool works"},
		{Package: "cmd/linkbeatctl", Own: []string{"agent/demo", "agent/operator", "agent/operator/tty", "agent/printable",
			"agent/wire",
			"cmd/internal/cli"},
			Others: []string{cobra},
			Why:    "flags and exit codes of the operator's program"},
		{Package: "agent/printable", NotStd: []string{"net", "os", "sync", "syscall", "context", "time"},
			Why: "pure: a stranger's string comes in, what a terminal is shown goes out; every edge that prints stands on it"},
		{Package: "agent/printable/printabletest", Std: []string{"bytes", "fmt", "strings", "unicode/utf8"},
			Why: "what strangers write, for the tests and laboratories of every edge; no program carries it"},
	}
}

// Outside names folders whose packages are tools, not product, and what even they may not do.
func Outside() []string { return []string{"build"} }

// OnlyFor lists modules with the only packages that may import them (tests apart): size and purity of the agent depend
// on it.
func OnlyFor() map[string][]string {
	return map[string][]string{
		paho:                       {"transport", "agent/demo", "build"}, // the demo's plain client is the library as it is
		mochi:                      {"agent/demo"},
		pty:                        {"agent/demo", "firmware-bridge/serialport/porttest"},
		cobra + "/doc":             {"cmd/internal/cli"}, // man pages: behind the build tag docs, so that no program carries it
		"pgregory.net/rapid":       {},
		"github.com/rogpeppe":      {},
		"text/template":            {},
		"html/template":            {},
		"encoding/gob":             {},
		"net/http/pprof":           {},
		"google.golang.org/grpc":   {},
		"github.com/gorilla/mux":   {},
		"github.com/spf13/viper":   {},
		"github.com/stretchr":      {},
		"github.com/prometheus":    {},
		"gopkg.in/yaml.v3":         {},
		"github.com/goccy/go-yaml": {},
	}
}
