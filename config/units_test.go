package config

import (
	"encoding"
	"reflect"
	"testing"
	"time"
)

func TestUnits(t *testing.T) {
	const bad = "bad"
	tests := []struct {
		kind     encoding.TextUnmarshaler
		in, want string // want: as it is written again
	}{
		{new(Duration), "30s", "30s"},
		{new(Duration), "60s", "1m"},
		{new(Duration), "1170s", "1170s"},
		{new(Duration), "24h", "1d"},
		{new(Duration), "7d", "7d"},
		{new(Duration), "1d12h", "36h"},
		{new(Duration), "0", "0s"},
		{new(Duration), "0d", "0s"},
		{new(Duration), "1.5s", "1500ms"},
		{new(Duration), "3ns", "3ns"},
		{new(Duration), "100000d", "100000d"},
		{new(Duration), "106752d", bad},
		{new(Duration), "106751d24h", bad},
		{new(Duration), "99999999999999999999d", bad},
		{new(Duration), "-1s", bad},
		{new(Duration), "1d-2h", bad},
		{new(Duration), "-1d", bad},
		{new(Duration), "1.5d", bad},
		{new(Duration), "30", bad},
		{new(Duration), "", bad},
		{new(Duration), "d", bad},
		{new(Duration), "1 s", bad},
		{new(Size), "0", "0"},
		{new(Size), "4096", "4KiB"},
		{new(Size), "4097B", "4097B"},
		{new(Size), "64KiB", "64KiB"},
		{new(Size), "64KB", "64KB"},
		{new(Size), "1.5MiB", "1536KiB"},
		{new(Size), "10 MB", "10MB"},
		{new(Size), "8GiB", "8GiB"},
		{new(Size), "8589934591GiB", "8589934591GiB"},
		{new(Size), "8589934592GiB", bad},
		{new(Size), "9999999999.5GiB", bad},
		{new(Size), "-1", bad},
		{new(Size), "1.5", bad},
		{new(Size), "0.5B", bad},
		{new(Size), "64K", bad},
		{new(Size), "64kib", bad},
		{new(Size), "MiB", bad},
		{new(Size), "1e3", bad},
		{new(Size), ".5KiB", bad},
		{new(Size), "", bad},
		{new(AutoSize), "auto", "auto"},
		{new(AutoSize), "1MiB", "1MiB"},
		{new(AutoSize), "Auto", bad},
		{new(AutoRate), "auto", "auto"},
		{new(AutoRate), "16KiB/s", "16KiB/s"},
		{new(AutoRate), "16KiB", "16KiB/s"},
		{new(AutoRate), "16KiB/h", bad},
		{new(AutoDuration), "auto", "auto"},
		{new(AutoDuration), "90s", "90s"},
		{new(AutoDuration), "x", bad},
		{new(AutoInt), "auto", "auto"},
		{new(AutoInt), "12", "12"},
		{new(AutoInt), "0", bad},
		{new(Keepalive), "auto", "auto"},
		{new(Keepalive), "300", "5m"},
		{new(Keepalive), "301s", "301s"},
		{new(Keepalive), "65535", "65535s"},
		{new(Keepalive), "65536", bad},
		{new(Keepalive), "0", bad},
		{new(Keepalive), "1500ms", bad},
		{new(Sync), "always", "always"},
		{new(Sync), "0s", "always"},
		{new(Sync), "1s", "1s"},
		{new(Sync), "never", bad},
		{new(Canary), "pair", "pair"},
		{new(Canary), "025", "25"},
		{new(Canary), "-1", bad},
		{new(Free), "10%", "10%"},
		{new(Free), "0%", "0"},
		{new(Free), "100MiB", "100MiB"},
		{new(Free), "100%", bad},
		{new(Free), "2.5%", bad},
		{new(Free), "much", bad},
		{new(Mode), "8N1", "8N1"},
		{new(Mode), "7e2", "7E2"},
		{new(Mode), "5S1", "5S1"},
		{new(Mode), "9N1", bad},
		{new(Mode), "8X1", bad},
		{new(Mode), "8N3", bad},
		{new(Mode), "8N1.5", bad},
		{new(Mode), "", bad},
		{new(Hex), "0d0A", "0d0a"},
		{new(Hex), "aa 55:FF", "aa55ff"},
		{new(Hex), "", ""},
		{new(Hex), "0d0", bad},
		{new(Hex), "0x0d", bad},
	}
	for _, tt := range tests {
		typ := reflect.TypeOf(tt.kind).Elem().Name()
		err := tt.kind.UnmarshalText([]byte(tt.in))
		if tt.want == bad {
			if err == nil {
				t.Errorf("%s %q is taken for %v", typ, tt.in, reflect.ValueOf(tt.kind).Elem())
			}
			continue
		}
		if err != nil {
			t.Errorf("%s %q: %v", typ, tt.in, err)
			continue
		}
		got, err := reflect.ValueOf(tt.kind).Elem().Interface().(encoding.TextMarshaler).MarshalText()
		if err != nil || string(got) != tt.want {
			t.Errorf("%s %q is written %q, want %q; %v", typ, tt.in, got, tt.want, err)
		}
	}
}

func TestResolvedValues(t *testing.T) {
	doc := Defaults()
	if doc.StateDir = "/data/"; doc.SpoolDir() != "/data/spool" {
		t.Error(doc.SpoolDir())
	}
	if got := doc.Uplink.ConnectKeepalive(); got != 1170*time.Second {
		t.Error(got)
	}
	if doc.Uplink.Keepalive = (Keepalive{Duration: minute}); doc.Uplink.ConnectKeepalive() != time.Minute {
		t.Error(doc.Uplink.ConnectKeepalive())
	}
	if got := (Batch{Delay: second}).Resolved(); got != (Batch{Frames: 50, Delay: second, Bytes: 32 * kib}) {
		t.Error(got)
	}
	d := DefaultSerial()
	for _, step := range []struct{ frame, encoding, want string }{
		{"line", "auto", "text"}, {"idle", "auto", "hex"}, {"idle", "base64", "base64"}, {"line", "hex", "hex"},
	} {
		d.Frame.Type, d.Encoding = step.frame, step.encoding
		if got := d.PayloadEncoding(); got != step.want {
			t.Errorf("%+v: %s", step, got)
		}
	}
}

func TestReadPassword(t *testing.T) {
	dir := t.TempDir()
	u := Server{Password: NewSecret("inline")}
	if got, err := u.ReadPassword(); got != "inline" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	for _, tt := range []struct {
		text, want string
		ok         bool
	}{
		{"secret", "secret", true}, {"secret\n", "secret", true}, {"two words \r\nsecond line\n", "two words ", true},
		{"", "", false}, {"\nsecret\n", "", false}, {string(make([]byte, maxPassword+1)), "", false},
	} {
		u = Server{PasswordFile: FileName(write(t, dir, tt.text))}
		if got, err := u.ReadPassword(); got != tt.want || (err == nil) != tt.ok {
			t.Errorf("%.20q: %q, %v", tt.text, got, err)
		}
	}
	u.PasswordFile = FileName(dir + "/none")
	if _, err := u.ReadPassword(); err == nil {
		t.Error("read from nowhere")
	}
}

func TestServerLogin(t *testing.T) {
	u := &Uplink{Username: "gw", PasswordFile: "/all", TLS: TLS{CAFile: "/ca"}}
	for _, tt := range []struct{ own, want Server }{
		{Server{}, Server{Username: "gw", PasswordFile: "/all", TLS: TLS{CAFile: "/ca"}}},
		{Server{PasswordFile: "/own"}, Server{Username: "gw", PasswordFile: "/own", TLS: TLS{CAFile: "/ca"}}},
		{Server{Username: "x", TLS: TLS{ServerName: "y"}}, Server{Username: "x", TLS: TLS{ServerName: "y"}}},
	} {
		if got := u.With(tt.own); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%+v: %+v, want %+v", tt.own, got, tt.want)
		}
	}
}

func TestLongestBatch(t *testing.T) {
	for after, want := range map[Duration]Duration{0: 0, second: second / 2, 4 * second: 2 * second, 5 * second: 3 * second,
		minute: 58 * second} {
		if got := (Spool{WriteAfter: after}).LongestBatch(); got != want {
			t.Errorf("write_after %s: %s, want %s", after, got, want)
		}
	}
}
