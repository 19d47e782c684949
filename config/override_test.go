package config

import (
	"reflect"
	"testing"
)

func TestOverrides(t *testing.T) {
	const src = `uplink: {servers: [{url: mqtts://a.example.net}], window: 5}
serial: {meter: {port: /dev/ttyUSB0}, meter_2: {port: /dev/ttyUSB1}, plc-a.1: {port: /dev/ttyUSB2}}
`
	tests := []struct {
		env string
		get func(d *Document) any
		val any
	}{
		{"LINKBEAT_UPLINK_USERNAME=gw", func(d *Document) any { return d.Uplink.Username }, "gw"},
		{"LINKBEAT_UPLINK_USERNAME=${HOME}", func(d *Document) any { return d.Uplink.Username }, "${HOME}"},
		{"LINKBEAT_UPLINK_WINDOW=9", func(d *Document) any { return d.Uplink.Window }, 9},
		{"LINKBEAT_UPLINK_WINDOW=", func(d *Document) any { return d.Uplink.Window }, 5},
		{"LINKBEAT_UPLINK_TLS_CA_FILE=/ca", func(d *Document) any { return d.Uplink.TLS.CAFile }, FileName("/ca")},
		{"LINKBEAT_UPLINK_SERVERS=mqtt://x, wss://y/z", func(d *Document) any { return d.Uplink.Servers },
			[]Server{{URL: "mqtt://x"}, {URL: "wss://y/z"}}},
		{"LINKBEAT_UPLINK_KEEPALIVE=120", func(d *Document) any { return d.Uplink.Keepalive.Duration }, 2 * minute},
		{"LINKBEAT_STATE_DIR=/data", func(d *Document) any { return d.StateDir }, "/data"},
		{"LINKBEAT_DEVICE_ID=gw-1", func(d *Document) any { return d.Device.ID }, "gw-1"},
		{"LINKBEAT_DEVICE_GROUPS=north,test", func(d *Document) any { return d.Device.Groups }, []string{"north", "test"}},
		{"LINKBEAT_HEARTBEAT_PROBE_BUDGET_MONTH=2MiB", func(d *Document) any { return d.Heartbeat.ProbeBudget.Month }, 2 * mib},
		{"LINKBEAT_SPOOL_SYNC=always", func(d *Document) any { return d.Spool.Sync }, Sync(0)},
		{"LINKBEAT_HTTP_LISTEN=127.0.0.1:1", func(d *Document) any { return d.HTTP.Listen }, "127.0.0.1:1"},
		{"LINKBEAT_SERIAL_METER_BAUD=300", func(d *Document) any { return d.Serial["meter"].Baud }, 300},
		{"LINKBEAT_SERIAL_METER_2_BAUD=600", func(d *Document) any { return d.Serial["meter_2"].Baud }, 600},
		{"LINKBEAT_SERIAL_PLC_A_1_FRAME_MAX=1KiB", func(d *Document) any { return d.Serial["plc-a.1"].Frame.Max }, kib},
	}
	for _, tt := range tests {
		doc := mustParse(t, src, ParseOptions{Environ: []string{tt.env, "PATH=/bin"}})
		if got := tt.get(doc); !reflect.DeepEqual(got, tt.val) {
			t.Errorf("%s: %v, want %v", tt.env, got, tt.val)
		}
	}
}

func TestBadOverrides(t *testing.T) {
	src := server + "serial: {meter: {port: /dev/ttyUSB0}}\n"
	tests := []struct{ env, want string }{
		{"LINKBEAT_UPLINK_WINDOW=9999", "fault: LINKBEAT_UPLINK_WINDOW: uplink.window: must be at most 1024 (here: \"9999\")\n"},
		{"LINKBEAT_UPLINK_SERVERS=mqtt://u:p@h", "fault: LINKBEAT_UPLINK_SERVERS: uplink.servers[0].url: " +
			"must not hold a user or a password: put them into uplink.username and uplink.password_file\n"},
		{"LINKBEAT_SERIAL_METER_BAUD=x",
			"fault: [meter] LINKBEAT_SERIAL_METER_BAUD: serial.meter.baud: must be a whole number (here: \"x\")\n"},
		{"LINKBEAT_HEARTBEAT_INTERVAL=1h", "fault: LINKBEAT_HEARTBEAT_INTERVAL: heartbeat.interval: heartbeat.interval (1h) is " +
			"above uplink.keepalive_ceiling (1170s): a beat never exceeds the keepalive [MQTT-3.1.2-23]\n"},
		{"LINKBEAT_UPLINK_USERNAM=gw",
			"warning: LINKBEAT_UPLINK_USERNAM: names no key, so it has no effect; did you mean LINKBEAT_UPLINK_USERNAME?\n"},
		{"LINKBEAT_UPLINK_TLS=x", "warning: LINKBEAT_UPLINK_TLS: names no key, so it has no effect\n"},
		{"LINKBEAT_SERIAL_PUMP_BAUD=9600", "warning: LINKBEAT_SERIAL_PUMP_BAUD: names no key, so it has no effect\n"},
		{"LINKBEAT_UPLINK_USERNAME=a\xff", "fault: LINKBEAT_UPLINK_USERNAME: uplink.username: must be UTF-8 text without NUL\n"},
		{"LINKBEAT_CONFIG=/etc/x", ""},
		{"LINKBEATCTL_SERVER=x", ""},
		{"LINKBEAT_LOG_SHIP=off", "warning: LINKBEAT_LOG_SHIP: log.ship: is not supported in this version and has no effect\n"},
	}
	for _, tt := range tests {
		_, warnings, err := Parse([]byte(src), ParseOptions{Environ: []string{tt.env}, Known: []string{"LINKBEAT_CONFIG"}})
		if got := listing(warnings, err); got != tt.want {
			t.Errorf("%s:\ngot  %swant %s", tt.env, got, tt.want)
		}
	}
}
