package main

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
	unix      = "golang.org/x/sys/unix"
	xproxy    = "golang.org/x/net/proxy"
	mochi     = "github.com/mochi-mqtt/server/v2"
	pty       = "github.com/creack/pty"
)

// Rules of every product package. A package without a rule fails the test: say first where it stands.
func Rules() []Rule {
	return []Rule{
		{Package: "cmd/linkbeat", Own: []string{"agent", "agent/diag", "agent/estimate", "agent/probe", "config", "firmware-bridge/discover", "agent/statuspage"},
			Others: []string{cobra, zerolog},
			Why:    "flags, signals, exit codes; it must not know how a link or a spool works"},
		{Package: "cmd/linkbeatctl", Own: []string{"agent/operator", "agent/operator/tty", "agent/wire", "build/demo"}, Others: []string{cobra},
			Why: "flags and exit codes of the operator's program"},
		{Package: "agent", Own: []string{"agent/spool", "agent/wire", "agent/statuspage", "config",
			"firmware-bridge", "firmware-bridge/discover", "firmware-bridge/framing", "firmware-bridge/modbus", "firmware-bridge/serialport",
			"transport", "transport/heartbeat"},
			Others: []string{zerolog, unix},
			Why:    "the only package that knows its siblings; it does not know the operator's program, nor the MQTT library"},
		{Package: "agent/operator", Own: []string{"transport", "agent/wire"},
			Why: "what linkbeatctl does, over the same link; linkbeat never carries it"},
		{Package: "agent/operator/tty", Others: []string{unix}, Why: "the operator's terminal and pseudo-terminals; system calls and nothing else"},
		{Package: "agent/probe", Own: []string{"transport", "transport/heartbeat", "agent/wire", "config"},
			Why: "linkbeat probe: a link of its own, for a person at a shell; like agent it translates config into transport's Options"},
		{Package: "agent/diag", Own: []string{"transport", "agent/wire", "agent/statuspage", "config"},
			Why: "linkbeat diag: like agent it translates config, into a transport.Trial; it works where no agent does"},
		{Package: "agent/estimate", Own: []string{"agent/wire", "config"}, NotStd: []string{"net", "os", "sync", "syscall", "context"},
			Why: "linkbeat check --estimate: pure, a document comes in and a table goes out"},
		{Package: "agent/statuspage", Own: nil, Why: "serves what it is handed; it knows nobody"},
		{Package: "transport", Own: []string{"transport/heartbeat"}, Others: []string{paho, websocket, unix, xproxy},
			Why: "the only place that imports the MQTT library; agent translates config into its Options"},
		{Package: "transport/transporttest", Why: "fake NAT and broker for tests and the demo; it knows nobody, so that anybody's tests may use it"},
		{Package: "transport/heartbeat", Std: []string{"math", "slices", "time"},
			Why: "pure: now comes in, an action goes out; no clock, goroutine, lock or socket"},
		{Package: "firmware-bridge", Own: []string{"firmware-bridge/discover", "firmware-bridge/framing", "firmware-bridge/modbus",
			"firmware-bridge/serialport"},
			Why: "devices on serial ports; it never sees config, the link or the spool, and no system call"},
		{Package: "firmware-bridge/discover", Own: []string{"firmware-bridge/serialport"}, Others: []string{unix},
			Why: "which ports there are and which one is meant; it opens none"},
		{Package: "firmware-bridge/serialport", Others: []string{serial, unix},
			Why: "opens a port and moves its bytes; it knows neither frames nor devices, and alone knows the library for serial ports"},
		{Package: "firmware-bridge/serialport/porttest", Others: []string{unix, pty}, NotStd: []string{"net/http"},
			Why: "fake ports, cables and serial servers for tests; serialport's own tests use it, so it imports nothing of ours"},
		{Package: "firmware-bridge/discover/discovertest", NotStd: []string{"net", "os", "syscall"},
			Why: "a sysfs for tests; discover's own tests use it, so it imports nothing of ours"},
		{Package: "firmware-bridge/framing", NotStd: []string{"net", "os", "sync", "syscall", "context", "io/fs"},
			Why: "pure: bytes and a time come in, frames go out"},
		{Package: "firmware-bridge/modbus", NotStd: []string{"net", "os", "sync", "syscall", "context", "io/fs"},
			Why: "pure: what goes on a Modbus line, what comes back, and whose turn it is; now comes in"},
		{Package: "agent/spool", NotStd: []string{"net"}, Others: []string{unix}, Why: "opaque records in files; it never sees config or the link"},
		{Package: "agent/wire", NotStd: []string{"net", "os", "sync", "syscall", "context"},
			Why: "topics and payloads shared by agent and operator's program; pure"},
		{Package: "config", Own: []string{"firmware-bridge/framing", "transport/heartbeat"}, Others: []string{yaml}, NotStd: []string{"net/http", "os/exec"},
			Why: "the fleet document is a public contract; of what it configures it knows only pure leaves: which framings there are, and what learning costs"},
	}
}

// Outside names folders whose packages are tools, not product, and what even they may not do.
func Outside() []string { return []string{"build"} }

// OnlyFor lists modules with the only packages that may import them (tests apart): size and purity of the agent depend
// on it.
func OnlyFor() map[string][]string {
	return map[string][]string{
		paho:                       {"transport", "build"},
		mochi:                      {"build"},
		pty:                        {"firmware-bridge/serialport/porttest", "build"},
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
