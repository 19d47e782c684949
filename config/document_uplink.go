package config

import (
	"github.com/linkbeat/linkbeat/transport/brokerurl"
	"github.com/linkbeat/linkbeat/transport/secretfile"
)

// Uplink is the connection to the broker.
type Uplink struct {
	Servers      []Server `yaml:"servers"` // in order of preference; the only key without a default
	Username     string   `yaml:"username"`
	Password     Secret   `yaml:"password"`      // instead of password_file; meant for ${NAME} and the environment
	PasswordFile FileName `yaml:"password_file"` // its first line
	TLS          TLS      `yaml:"tls,flow"`
	// a clock before the build time is taken for that when certificates are checked
	TimeFloor        string    `yaml:"time_floor" oneof:"build off"`
	CleanSession     bool      `yaml:"clean_session"`
	Retain           string    `yaml:"retain" oneof:"auto on off"` // auto: unless the server ends sessions because of it
	Window           int       `yaml:"window" min:"1" max:"1024"`
	MaxPayload       Size      `yaml:"max_payload" min:"1KiB" max:"255MiB"` // MQTT 3.1.1, 2.2.3: a packet has at most 256 MiB - 1
	DetectWithin     Duration  `yaml:"detect_within" min:"1s" max:"1h"`
	Keepalive        Keepalive `yaml:"keepalive"`
	KeepaliveCeiling Duration  `yaml:"keepalive_ceiling" min:"1s" max:"65535s"`
	Backoff          Backoff   `yaml:"backoff,flow"`
	// dial again through the load balancer after this long, ± 10 %; 0: never
	MaxSession Duration `yaml:"max_session" max:"90d"`
	Interfaces []string `yaml:"interfaces,flow"` // in order of preference; empty: the kernel's choice
	Proxy      ProxyURL `yaml:"proxy"`           // http:// (CONNECT) or socks5://; "": as the environment says; none
	ReplayRate AutoRate `yaml:"replay_rate"`     // of what waited through an outage
	Budget     Budget   `yaml:"budget,flow"`     // of all interfaces together
	// runs a command: only this machine's own file may name it, never a document of the fleet
	PathHint Fact `yaml:"path_hint,flow"`
}

// NoProxy as uplink.proxy: no proxy, whatever the environment says.
const NoProxy = brokerurl.None

// The types of what may hold a secret, and never shows it. See their own packages.
type (
	// ServerURL is the URL of a server, whose query may be a token.
	ServerURL = brokerurl.URL
	// ProxyURL is a URL that may hold a login.
	ProxyURL = brokerurl.URL
	// FileName is the name of a file, or a secret typed in its place.
	FileName = secretfile.Name
)

// Server is one broker.
type Server struct {
	URL ServerURL `yaml:"url"` // mqtt, mqtts, ws or wss; without user info
	// lower is preferred, equal ones share the gateways; 0: the place in the list
	Rank          int      `yaml:"rank,omitempty" min:"0" max:"1000"`
	Username      string   `yaml:"username,omitempty"` // with password or password_file: instead of the uplink's
	Password      Secret   `yaml:"password,omitempty"`
	PasswordFile  FileName `yaml:"password_file,omitempty"`
	TLS           TLS      `yaml:"tls,flow,omitempty"`       // instead of the uplink's, as a whole
	InsecureLogin bool     `yaml:"insecure_login,omitempty"` // the login may be sent without TLS
}

// TLS says how a server proves itself, and how we do. All empty: the system's roots and no certificate of our own.
type TLS struct {
	CAFile     FileName `yaml:"ca_file"`
	CertFile   FileName `yaml:"cert_file"`
	KeyFile    FileName `yaml:"key_file"`
	ServerName string   `yaml:"server_name"`
	ALPN       []string `yaml:"alpn,flow"`
}

// IsZero is true when nothing is set.
func (t TLS) IsZero() bool {
	return t.CAFile == "" && t.CertFile == "" && t.KeyFile == "" && t.ServerName == "" && len(t.ALPN) == 0
}

// Backoff is how long to wait before dialling again.
type Backoff struct {
	Min     Duration `yaml:"min" min:"1ms" max:"1h"`
	Max     Duration `yaml:"max" min:"1ms" max:"24h"`
	Refused Duration `yaml:"refused" min:"1ms" max:"24h"` // after refused credentials
}

// Budget bounds the bytes of a month; 0 bounds nothing.
type Budget struct {
	Month    Size `yaml:"month"`
	ResetsOn int  `yaml:"resets_on" min:"1" max:"28"` // day of the month
}
