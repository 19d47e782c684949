package agent

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/linkbeat/linkbeat/agent/wire"
)

func TestStoredComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := stored{
			raw:      rapid.Bool().Draw(t, "raw"),
			encoding: rapid.SampledFrom([]wire.Encoding{wire.Text, wire.Hex, wire.Base64}).Draw(t, "encoding"),
			data:     rapid.SliceOf(rapid.Byte()).Draw(t, "data"),
		}
		s.stamp.Wall = rapid.Int64().Draw(t, "wall")
		if rapid.Bool().Draw(t, "unsynced") {
			s.stamp.Unsynced, s.stamp.Boot, s.stamp.BootID = true, rapid.Int64().Draw(t, "boot"), rapid.Uint32().Draw(t, "boot id")
		}
		back, err := parseStored(s.appendTo(nil))
		if err != nil || back.stamp != s.stamp || back.raw != s.raw || back.encoding != s.encoding || !bytes.Equal(back.data, s.data) {
			t.Fatalf("%+v became %+v (%v)", s, back, err)
		}
	})
}

func FuzzParseStored(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 2, 3, 4, 5, 6, 'x'})
	f.Add([]byte{8})
	f.Fuzz(func(t *testing.T, p []byte) {
		if s, err := parseStored(p); err == nil && !bytes.Equal(s.appendTo(nil), p) {
			t.Fatalf("%x came back as %x", p, s.appendTo(nil))
		}
		if _, payload, err := parseReply(p); err == nil && len(payload) > len(p) {
			t.Fatal("more than there was")
		}
	})
}
