package framing

import (
	"slices"
	"testing"
)

func mustSum(t testing.TB, s Spec) *sum {
	t.Helper()
	c, err := newSum(&s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The check values of the catalogue of parametrised CRC algorithms, of "123456789"; the sums by hand.
func TestChecksums(t *testing.T) {
	for name, want := range map[string][]byte{
		"crc16/modbus": {0x37, 0x4b}, // low byte first, as Modbus has it
		"crc16/ccitt":  {0x29, 0xb1},
		"crc24q":       {0xcd, 0xe7, 0x03},
		"crc32":        {0xcb, 0xf4, 0x39, 0x26},
		"sum8":         {0xdd},
		"sum15":        {0x01, 0xdd},
		"sum16":        {0x01, 0xdd},
		"xor8":         {0x31},
		"lrc":          {0x23},
	} {
		c := mustSum(t, Spec{Checksum: name})
		got, err := c.seal(nil, []byte("123456789"))
		if err != nil || !slices.Equal(got[9:], want) {
			t.Errorf("%s: %x, %v, want %x", name, got[9:], err, want)
		}
		if !c.right(got) {
			t.Errorf("%s does not know its own", name)
		}
		for i := range got {
			got[i] ^= 0x10
			if c.right(got) {
				t.Errorf("%s: a wrong bit in byte %d is right", name, i)
			}
			got[i] ^= 0x10
		}
		turned := mustSum(t, Spec{Checksum: name, SumLittle: want[0] != 0x37, SumBig: want[0] == 0x37})
		if got, _ := turned.seal(nil, []byte("123456789")); !slices.Equal(reversed(got[9:]), want) {
			t.Errorf("%s the other way round: %x", name, got[9:])
		}
	}
	if len(Checksums()) != 9 {
		t.Error("one of them is not tried here")
	}
}

func TestSumOf15Bits(t *testing.T) {
	c := mustSum(t, Spec{Checksum: "sum15"})
	if got, _ := c.seal(nil, slices.Repeat([]byte{0xff}, 200)); !slices.Equal(got[200:], []byte{0x47, 0x38}) { // 51000 mod 2^15
		t.Errorf("%x", got[200:])
	}
}

func TestChecksumFrom(t *testing.T) {
	c := mustSum(t, Spec{Checksum: "xor8", SumFrom: 2})
	got, err := c.seal(nil, []byte{0xa0, 0xa2, 1, 2, 4})
	if err != nil || got[5] != 7 || !c.right(got) || c.right(got[:1]) || c.right(nil) {
		t.Errorf("%x, %v", got, err)
	}
	if _, err := c.seal(nil, []byte{1}); err == nil {
		t.Error("sealed what is shorter than what is left out")
	}
}

func reversed(p []byte) []byte {
	p = slices.Clone(p)
	slices.Reverse(p)
	return p
}
