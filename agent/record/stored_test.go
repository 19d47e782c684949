package record

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/linkbeat/linkbeat/agent/clock"
	"github.com/linkbeat/linkbeat/agent/wire"
)

func TestStoredComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Stored{
			Format:   rapid.SampledFrom([]wire.Format{wire.JSON, wire.Raw, wire.SenML}).Draw(t, "format"),
			Encoding: rapid.SampledFrom([]wire.Encoding{wire.Text, wire.Hex, wire.Base64}).Draw(t, "encoding"),
			Data:     rapid.SliceOf(rapid.Byte()).Draw(t, "data"),
		}
		s.Stamp.Wall = rapid.Int64().Draw(t, "wall")
		if rapid.Bool().Draw(t, "unsynced") {
			s.Stamp.Unsynced, s.Stamp.Boot, s.Stamp.BootID = true, rapid.Int64().Draw(t, "boot"),
				rapid.Uint32().Draw(t, "boot id")
		}
		back, err := Parse(s.Append(nil))
		if err != nil || back.Stamp != s.Stamp || back.Format != s.Format || back.Encoding != s.Encoding ||
			!bytes.Equal(back.Data, s.Data) {
			t.Fatalf("%+v became %+v (%v)", s, back, err)
		}
	})
}

// What lies in the spools of gateways in the field.
func TestStoredBytes(t *testing.T) {
	const wall, boot = "\x00\x00\x00\x00\x00\x00\x01\x02", "\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x04"
	set, unset := clock.Stamp{Wall: 0x102}, clock.Stamp{Wall: 0x102, Unsynced: true, Boot: 3, BootID: 4}
	for _, c := range []struct {
		stored Stored
		want   string
	}{
		{Stored{Stamp: set, Encoding: wire.Text, Data: []byte("hi")}, "\x00" + wall + "hi"},
		{Stored{Stamp: set, Encoding: wire.Hex, Data: []byte("hi")}, "\x01" + wall + "hi"},
		{Stored{Stamp: set, Encoding: wire.Base64}, "\x02" + wall},
		{Stored{Stamp: set, Values: true, Data: []byte("{}")}, "\x03" + wall + "{}"},
		{Stored{Stamp: set, Format: wire.Raw, Encoding: wire.Hex, Data: []byte("hi")}, "\x05" + wall + "hi"},
		{Stored{Stamp: set, Format: wire.SenML, Encoding: wire.Text, Data: []byte("hi")}, "\x10" + wall + "hi"},
		{Stored{Stamp: set, Format: wire.SenML, Values: true, Data: []byte("{}")}, "\x13" + wall + "{}"},
		{Stored{Stamp: unset, Encoding: wire.Text, Data: []byte("hi")}, "\x08" + wall + boot + "hi"},
		{Stored{Stamp: unset, Format: wire.Raw, Encoding: wire.Text, Data: []byte("hi")}, "\x0c" + wall + boot + "hi"},
		{Stored{Stamp: unset, Format: wire.SenML, Values: true, Data: []byte("{}")}, "\x1b" + wall + boot + "{}"},
	} {
		if got := string(c.stored.Append(nil)); got != c.want {
			t.Errorf("%+v is %x, want %x", c.stored, got, c.want)
		}
		if back, err := Parse([]byte(c.want)); err != nil || string(back.Append(nil)) != c.want {
			t.Errorf("%x became %+v (%v)", c.want, back, err)
		}
	}
}

// A format of another version has a byte for its number, so that we can say which it was.
func TestStoredInALaterFormat(t *testing.T) {
	p := Stored{Stamp: clock.Stamp{Wall: 7}, Format: 200, Encoding: wire.Hex, Data: []byte("hi")}.Append(nil)
	if want := "\x21\xc8\x00\x00\x00\x00\x00\x00\x00\x07hi"; string(p) != want {
		t.Errorf("%x, want %x", p, want)
	}
	if f, rest, err := formatOf(p[0], p[1:]); f != 200 || !bytes.Equal(rest, p[2:]) || err != nil {
		t.Errorf("%d, %x, %v", f, rest, err)
	}
	if _, err := Parse(p); err == nil || !strings.Contains(err.Error(), "format 200") {
		t.Errorf("%v", err)
	}
}

func TestStoredThatNoVersionWrote(t *testing.T) {
	for name, p := range map[string]string{
		"nothing": "", "no time": "\x00\x00", "a bit of no meaning": "\x40\x00\x00\x00\x00\x00\x00\x00\x00",
		"raw values": "\x07\x00\x00\x00\x00\x00\x00\x00\x00", "two formats": "\x14\x00\x00\x00\x00\x00\x00\x00\x00",
		"a bit and a byte": "\x24\x09\x00\x00\x00\x00\x00\x00\x00\x00",
		"raw as a byte":    "\x20\x01\x00\x00\x00\x00\x00\x00\x00\x00",
		"no boot time":     "\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00",
	} {
		if s, err := Parse([]byte(p)); err == nil {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func FuzzParseStored(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 2, 3, 4, 5, 6, 'x'})
	f.Add([]byte{8})
	f.Add([]byte{0x20, 9, 0, 1, 2, 3, 4, 5, 6, 7, 'x'})
	f.Fuzz(func(t *testing.T, p []byte) {
		if s, err := Parse(p); err == nil && !bytes.Equal(s.Append(nil), p) {
			t.Fatalf("%x came back as %x", p, s.Append(nil))
		}
		if _, payload, err := ParseReply(p); err == nil && len(payload) > len(p) {
			t.Fatal("more than there was")
		}
	})
}
