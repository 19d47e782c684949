package serialport

import (
	"bytes"
	"encoding/hex"
	"testing"
)

func TestTelnet(t *testing.T) {
	for name, c := range map[string]struct{ in, data, reply string }{
		"plain data":                         {"68656c6c6f", "68656c6c6f", ""},
		"a doubled 255":                      {"41ffff42", "41ff42", ""},
		"an unknown offer is declined":       {"fffb22" + "41", "41", "fffe22"},
		"an unknown wish is declined, once":  {"fffd18" + "fffd18", "", "fffc18"},
		"what we asked for needs no answer":  {"fffb00" + "fffd00" + "fffd2c", "", ""},
		"taken back after it was agreed":     {"fffd00" + "fffe00", "", "fffc00"},
		"a refusal needs no answer":          {"fffe2c", "", ""},
		"a command without effect":           {"41fff142", "4142", ""},
		"a subnegotiation, 255 in it":        {"41fffa2c65000000fffffff042", "4142", ""},
		"one that nobody knows":              {"fffa18010203fff041", "41", ""},
		"a wrong end of one ends it as well": {"fffa2c01fff141", "41", ""},
	} {
		for size := 1; size <= 3; size++ { // however it is torn
			var tn telnet
			tn.offer(optionBinary, true)
			tn.offer(optionComPort, false)
			tn.reply = nil
			var data []byte
			in, _ := hex.DecodeString(c.in)
			for len(in) > 0 {
				n := min(size, len(in))
				data = tn.feed(data, in[:n])
				in = in[n:]
			}
			if hex.EncodeToString(data) != c.data || hex.EncodeToString(tn.reply) != c.reply {
				t.Errorf("%s, %d bytes at once: data %x, reply %x", name, size, data, tn.reply)
			}
		}
	}
}

// Bytes by RFC 2217, section 3; that a real server takes them is shown by TestSer2net.
func TestComPortSettings(t *testing.T) {
	var c comPort
	mode, err := ParseMode("7E2")
	if err != nil {
		t.Fatal(err)
	}
	out := c.settings(Line{Baud: 0x0000ff00, Mode: mode, Flow: FlowRTSCTS})
	want := "fffa2c01" + "0000ffff00" + "fff0" + // the 255 in the baud rate is doubled
		"fffa2c0207fff0" + "fffa2c0303fff0" + "fffa2c0402fff0" + "fffa2c0503fff0" + "fffa2c0508fff0" + "fffa2c0a1efff0"
	if got := hex.EncodeToString(out); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	answers := []string{"2c650000ff00", "2c6607", "2c6703", "2c6802", "2c6903"}
	for i, a := range answers {
		if ok, err := c.settled(); ok || err != nil {
			t.Errorf("settled after %d answers: %v", i, err)
		}
		sub, _ := hex.DecodeString(a)
		c.received(sub)
	}
	if ok, err := c.settled(); !ok || err != nil {
		t.Errorf("not settled: %v", err)
	}
	for _, a := range []string{"2c6908", "2c", "2c65", "2c6500", "1865000000", "2c01000000", "2c6a0a", "2c6a14"} {
		sub, _ := hex.DecodeString(a)
		c.received(sub)
	}
	if c.errors != (LineErrors{Overrun: 1, Framing: 1, Parity: 1, Break: 1}) {
		t.Errorf("%+v", c.errors)
	}
	c.received([]byte{optionComPort, comAnswer + comBaud, 0, 0, 0x25, 0x80})
	if _, err := c.settled(); err == nil {
		t.Error("another baud rate than was asked for was taken")
	}
}

func FuzzTelnet(f *testing.F) {
	f.Add([]byte("\xff\xfb\x2cdata\xff\xff\xff\xfa\x2c\x65\x00\x00\x25\x80\xff\xf0"), 3)
	f.Fuzz(func(t *testing.T, in []byte, size int) {
		size = min(max(size, 1), 4096)
		var whole, torn telnet
		var c comPort
		whole.received, torn.received = func([]byte) {}, c.received
		want := whole.feed(nil, in)
		var got []byte
		for rest := in; len(rest) > 0; {
			n := min(size, len(rest))
			got = torn.feed(got, rest[:n])
			rest = rest[n:]
		}
		if !bytes.Equal(got, want) || !bytes.Equal(whole.reply, torn.reply) {
			t.Errorf("%x: torn %x %x, whole %x %x", in, got, torn.reply, want, whole.reply)
		}
		if len(whole.reply) > 3*512 {
			t.Errorf("%d bytes of answers: an endless talk", len(whole.reply))
		}
		// what we send comes back as it was
		if back := new(telnet).feed(nil, appendEscaped(nil, in)); !bytes.Equal(back, in) {
			t.Errorf("%x escaped and back is %x", in, back)
		}
	})
}
