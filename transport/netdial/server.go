package netdial

import "github.com/linkbeat/linkbeat/transport/brokerurl"

// Server is one place to connect to.
type Server struct {
	// with a scheme of package brokerurl; without a port, its own; a WebSocket's path is /mqtt if none
	URL      brokerurl.URL
	Rank     int                    // lower is preferred, equals share the gateways; if zero, the position in the list
	Username string                 // if empty, none is sent
	Password func() (string, error) // asked at each dial, so that a changed file counts; nil: none is sent
	TLS      TLSOptions             // where the scheme has TLS
	Withhold bool                   // neither a login nor the URL's query is sent, whatever else stands here
}

// TLSOptions name files that are read again at each dial, so that a renewed certificate needs no restart.
type TLSOptions struct {
	CAFile     string   // PEM; if empty, the system's certificates
	CertFile   string   // PEM, our own certificate; if empty, none
	KeyFile    string   // PEM, its key
	ServerName string   // if empty, the host of the URL
	ALPN       []string // if empty, none
}
