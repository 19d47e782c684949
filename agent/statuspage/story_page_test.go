package statuspage

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"
)

func testPage(s Status, sick error) http.Handler {
	return New(Options{Status: func() Status { return s }, Healthy: func() error { return sick }}).Handler()
}

func TestPageAnswers(t *testing.T) {
	up, down := Status{Uplink: Uplink{State: "up"}}, Status{Uplink: Uplink{State: "down"}, Why: "server refuses the password"}
	for name, c := range map[string]struct {
		status       Status
		sick         error
		method, path string
		host, to     string
		sent         string
		code         int
		body         string
	}{
		"status":             {status: up, path: "/status", code: 200, body: `"state": "up"`},
		"metrics":            {status: up, path: "/metrics", code: 200, body: "linkbeat_up 1\n"},
		"healthy, link down": {status: down, path: "/healthz", code: 200, body: "ok"},
		"stuck": {status: up, sick: errors.New("uplink is stuck"), path: "/healthz", code: 503,
			body: "uplink is stuck"},
		"ready":                    {status: up, path: "/readyz", code: 200, body: "ok"},
		"not ready":                {status: down, path: "/readyz", code: 503, body: "server refuses the password"},
		"no such page":             {status: up, path: "/etc/passwd", code: 404},
		"writing":                  {status: up, method: "POST", path: "/status", code: 405, body: "only read"},
		"a name pointed at us":     {status: up, path: "/status", host: "evil.example.net", code: 403, body: "by IP address"},
		"localhost":                {status: up, path: "/status", host: "localhost:8077", code: 200},
		"localhost, written out":   {status: up, path: "/status", host: "LocalHost.:8077", code: 200},
		"a name below localhost":   {status: up, path: "/status", host: "localhost.evil.example.net:8077", code: 403},
		"a name like an address":   {status: up, path: "/status", host: "127.0.0.1.evil.example.net", code: 403},
		"another loopback address": {status: up, path: "/status", host: "127.8.7.6:8077", code: 200},
		"what a proxy was asked":   {status: up, path: "/status", host: "192.0.2.1:8077", code: 200},
		"every address":            {status: up, path: "/status", host: "0.0.0.0:8077", code: 403},
		"a network's address":      {status: up, path: "/status", host: "192.0.2.1:8077", to: "192.0.2.1:8077", code: 200},
		"a tap":                    {status: up, path: "/tap/meter", code: 403, body: "use linkbeat tap"},
		"a tap of a folder":        {status: up, path: "/tap/", code: 403, body: "use linkbeat tap"},
		"a reload":                 {status: up, method: "POST", path: "/reload", code: 405, body: "only read"},
		"a reload, read":           {status: up, path: "/reload", code: 404},
		"deleting":                 {status: up, method: "DELETE", path: "/tap/meter", code: 405},
		"HEAD":                     {status: up, method: "HEAD", path: "/status", code: 200},
		"an unknown method":        {status: up, method: "BREW", path: "/status", code: 405},
		"a body":                   {status: up, path: "/status", sent: "x", code: 400, body: "no body"},
		"an IPv6 address and port": {status: up, path: "/status", host: "[::1]:8077", code: 200},
	} {
		t.Run(name, func(t *testing.T) {
			method := c.method
			if method == "" {
				method = "GET"
			}
			r := httptest.NewRequest(method, c.path, strings.NewReader(c.sent))
			to := net.TCPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:8077"))
			if c.to != "" {
				to = net.TCPAddrFromAddrPort(netip.MustParseAddrPort(c.to))
			}
			r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(to)))
			r.Host = "127.0.0.1:8077"
			if c.host != "" {
				r.Host = c.host
			}
			w := httptest.NewRecorder()
			testPage(c.status, c.sick).ServeHTTP(w, r)
			if w.Code != c.code || !strings.Contains(w.Body.String(), c.body) {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
		})
	}
}

// TestMetricsAreWellFormed checks every line against the text exposition format, with labels that need escapes.
func TestMetricsAreWellFormed(t *testing.T) {
	s := Status{ID: `gw "7"\`, Serial: map[string]Serial{"meter": {State: "open", Read: 7,
		Units: map[string]Unit{"boiler": {State: "live", Timeouts: 2}}}, "scale": {}}}
	line := regexp.MustCompile(`^(# (HELP|TYPE) linkbeat_[a-z_]+ .+|linkbeat_[a-z_]+(\{[a-z]+="([^"\\\n]|\\["\\n])*"(,[a-z]+="([^"\\\n]|\\["\\n])*")*\})? -?[0-9.e+-]+)$`)
	for _, l := range strings.Split(strings.TrimSuffix(string(AppendMetrics(nil, s)), "\n"), "\n") {
		if !line.MatchString(l) {
			t.Errorf("not in the format: %s", l)
		}
	}
	for _, want := range []string{`linkbeat_serial_read_bytes_total{device="meter"} 7`,
		`linkbeat_unit_live{device="meter",unit="boiler"} 1`, `linkbeat_unit_timeouts_total{device="meter",unit="boiler"} 2`} {
		if !bytes.Contains(AppendMetrics(nil, s), []byte(want+"\n")) {
			t.Errorf("%s is missing", want)
		}
	}
}

func TestPageGoesOnWhenItsAddressIsTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	fault := make(chan error, 8)
	page := New(Options{Listen: taken.Addr().String(), Status: func() Status { return Status{} },
		Healthy: func() error { return nil }, Fault: func(err error) { fault <- err }})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- page.Run(ctx) }()
	if err := <-fault; err == nil {
		t.Fatal("a taken address was not told")
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

func TestRender(t *testing.T) {
	s := Status{ID: "gw-7", Version: "1", Uplink: Uplink{State: "up", Server: "mqtts://a:8883"},
		Why:    "spool: the disk is full",
		Serial: map[string]Serial{"meter": {Port: "/dev/ttyUSB0", State: "absent", Why: "no such file"}}}
	var text bytes.Buffer
	if err := Render(&text, s, time.Now()); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"gw-7", "mqtts://a:8883", "no such file", "the disk is full"} {
		if !strings.Contains(text.String(), part) {
			t.Errorf("%q is missing in\n%s", part, &text)
		}
	}
}
