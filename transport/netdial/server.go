package netdial

// Server is one place to connect to.
type Server struct {
	URL      string                 // mqtt://host:1883, mqtts://host:8883, ws://host:80/mqtt, wss://host:443/mqtt; these are the defaults
	Rank     int                    // lower is preferred; servers of equal rank share the gateways; if zero, the place in the list
	Username string                 // if empty, none is sent
	Password func() (string, error) // asked at each dial, so that a changed file counts; nil: none is sent
	TLS      TLSOptions             // of mqtts and wss
}

// TLSOptions name files that are read again at each dial, so that a renewed certificate needs no restart.
type TLSOptions struct {
	CAFile     string   // PEM; if empty, the system's certificates
	CertFile   string   // PEM, our own certificate; if empty, none
	KeyFile    string   // PEM, its key
	ServerName string   // if empty, the host of the URL
	ALPN       []string // if empty, none
}
