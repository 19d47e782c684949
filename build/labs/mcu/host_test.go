package mcu

import (
	"bytes"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
	"github.com/linkbeat/linkbeat/firmware-bridge/framing"
	"github.com/linkbeat/linkbeat/firmware-bridge/modbus"
)

// host is the filter that firmware/host.c describes.
type host struct {
	t   *testing.T
	in  io.WriteCloser
	out io.Reader
}

func newHost(t *testing.T) *host {
	t.Helper()
	kit.Need(t, "gcc")
	bin, err := compileHost(kit.Test(t, time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin)
	var says bytes.Buffer
	cmd.Stderr = &says
	h := &host{t: t}
	if h.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if h.out, err = cmd.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = h.in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("firmware: %v: %s", err, says.String())
		}
	})
	return h
}

// do is one record; nil: refused.
func (h *host) do(what byte, p []byte) []byte {
	h.t.Helper()
	if _, err := h.in.Write(append([]byte{what, byte(len(p) >> 8), byte(len(p))}, p...)); err != nil {
		h.t.Fatal(err)
	}
	size := make([]byte, 2)
	if _, err := io.ReadFull(h.out, size); err != nil {
		h.t.Fatal(err)
	}
	n := int(size[0])<<8 | int(size[1])
	if n == 0xffff {
		return nil
	}
	out := make([]byte, n)
	if _, err := io.ReadFull(h.out, out); err != nil {
		h.t.Fatal(err)
	}
	return out
}

// hostFraming compares two implementations that know nothing of each other, both ways.
func hostFraming(t *testing.T) {
	h := newHost(t)
	for _, k := range []struct {
		spec       framing.Spec
		open, seal byte
		end        string
	}{
		{framing.Spec{Type: "cobs", Checksum: "crc16/modbus"}, 'c', 'C', "\x00"},
		{framing.Spec{Type: "slip", Checksum: "crc16/ccitt"}, 's', 'S', "\xc0"},
		{framing.Spec{Type: "nmea"}, 'n', 'N', "\r\n"},
	} {
		f, err := framing.New(k.spec)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 2000 {
			p := nasty(i)
			ours := p
			if k.spec.Type == "nmea" {
				p = []byte(strings.Map(printable, string(p)))
				ours = []byte("$" + string(p))
			}
			line, err := f.Encode(nil, ours)
			if err != nil {
				t.Fatal(err)
			}
			payload := h.do(k.open, bare(line, k.end))
			if !bytes.Equal(payload, p) {
				t.Fatalf("%s: %x was framed as %x, which the firmware reads as %x", k.spec.Type, p, line, payload)
			}
			line = h.do(k.seal, p)
			f.Feed(time.Time{}, line)
			frame, err := f.Next(time.Time{})
			if k.spec.Type == "nmea" {
				frame = bytes.TrimPrefix(frame[:max(0, len(frame)-3)], []byte("$"))
			}
			if err != nil || !bytes.Equal(frame, p) {
				t.Fatalf("%s: the firmware frames %x as %x, which is read as %x: %v", k.spec.Type, p, line, frame, err)
			}
			line = bare(line, k.end)
			line[rand.IntN(len(line))] ^= 1 << rand.IntN(8)
			if got := h.do(k.open, line); got != nil && k.spec.Type != "nmea" {
				t.Fatalf("%s: a frame with a wrong bit passes: %x", k.spec.Type, line)
			}
		}
	}
}

// bare is a frame without its ends; SLIP has one before it too.
func bare(line []byte, end string) []byte {
	return bytes.TrimPrefix(bytes.TrimSuffix(line, []byte(end)), []byte(end))
}

// printable keeps what a sentence may hold.
func printable(r rune) rune {
	if r < ' ' || r > '~' || strings.ContainsRune("$!*\\", r) {
		return 'x'
	}
	return r
}

func hostModbus(t *testing.T) {
	h := newHost(t)
	for _, tt := range []struct{ name, request, answer string }{
		{"a write", "0600060003", "0600060003"},
		{"what was written", "0300060001", "03020003"},
		{"two at once", "100006000204000a0102", "1000060002"},
		{"and read", "0300060002", "0304000a0102"},
		{"one of two is too much: none is written", "100006000204000bffff", "9003"},
		{"they are as before", "0300060002", "0304000a0102"},
		{"the last register", "03000f0001", "03020000"},
		{"behind the last", "0300100001", "8302"},
		{"over the end", "03000f0002", "8302"},
		{"read only", "0600000001", "8602"},
		{"no register", "0300000000", "8303"},
		{"too many", "030000007e", "8303"},
		{"a count that does not fit", "100006000203000a01", "9003"},
		{"another function", "0100000001", "8101"},
		{"a function alone", "2b", "ab01"},
	} {
		pdu, err := hex.DecodeString(tt.request)
		if err != nil {
			t.Fatal(err)
		}
		q := modbus.Query{Unit: 17, PDU: pdu}
		want, err := hex.DecodeString(tt.answer)
		if err != nil {
			t.Fatal(err)
		}
		want = modbus.RTU.Append(nil, modbus.Query{Unit: 17, PDU: want})
		if got := h.do('m', modbus.RTU.Append(nil, q)); !bytes.Equal(got, want) {
			t.Errorf("%s: answer %x, want %x", tt.name, got, want)
		}
	}
	wrong := modbus.RTU.Append(nil, modbus.Query{Unit: 17, PDU: []byte{3, 0, 0, 0, 1}})
	wrong[6] ^= 1
	other := modbus.RTU.Append(nil, modbus.Query{Unit: 18, PDU: []byte{3, 0, 0, 0, 1}})
	everybody := modbus.RTU.Append(nil, modbus.Query{Unit: 0, PDU: []byte{6, 0, 7, 0, 9}})
	for name, p := range map[string][]byte{"a wrong checksum": wrong, "another unit": other, "everybody": everybody} {
		if got := h.do('m', p); len(got) != 0 {
			t.Errorf("%s: answer %x, want none", name, got)
		}
	}
	if got := h.do('m', modbus.RTU.Append(nil, modbus.Query{Unit: 17, PDU: []byte{3, 0, 7, 0, 1}})); len(got) != 7 ||
		got[4] != 9 {
		t.Errorf("what everybody was told was not done: %x", got)
	}
}
