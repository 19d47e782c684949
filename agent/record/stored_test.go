package record

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/linkbeat/linkbeat/agent/wire"
)

func TestStoredComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Stored{
			Raw:      rapid.Bool().Draw(t, "raw"),
			Encoding: rapid.SampledFrom([]wire.Encoding{wire.Text, wire.Hex, wire.Base64}).Draw(t, "encoding"),
			Data:     rapid.SliceOf(rapid.Byte()).Draw(t, "data"),
		}
		s.Stamp.Wall = rapid.Int64().Draw(t, "wall")
		if rapid.Bool().Draw(t, "unsynced") {
			s.Stamp.Unsynced, s.Stamp.Boot, s.Stamp.BootID = true, rapid.Int64().Draw(t, "boot"), rapid.Uint32().Draw(t, "boot id")
		}
		back, err := Parse(s.Append(nil))
		if err != nil || back.Stamp != s.Stamp || back.Raw != s.Raw || back.Encoding != s.Encoding || !bytes.Equal(back.Data, s.Data) {
			t.Fatalf("%+v became %+v (%v)", s, back, err)
		}
	})
}

func FuzzParseStored(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 2, 3, 4, 5, 6, 'x'})
	f.Add([]byte{8})
	f.Fuzz(func(t *testing.T, p []byte) {
		if s, err := Parse(p); err == nil && !bytes.Equal(s.Append(nil), p) {
			t.Fatalf("%x came back as %x", p, s.Append(nil))
		}
		if _, payload, err := ParseReply(p); err == nil && len(payload) > len(p) {
			t.Fatal("more than there was")
		}
	})
}
