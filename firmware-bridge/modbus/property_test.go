package modbus

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// What is written reads as the same value, for every type in every order, and the line carries nothing else.
func TestEveryTypeRoundTripsInEveryOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		for _, kind := range []Type{"int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64", "string",
			"bits", "bit"} {
			for _, order := range []Order{"", "abcd", "cdab", "badc", "dcba"} {
				r := Register{Name: "x", Kind: Holding, Type: kind, Order: order, Writable: true}
				text := randomText(rng, &r)
				w, err := r.NewWrite(text)
				if err != nil {
					t.Fatalf("%+v: %s: %v", r, text, err)
				}
				if w.Want.String() != text {
					t.Fatalf("%+v: %s reads as %s", r, text, w.Want)
				}
				if got, err := r.Decode(w.raw); err != nil || got != w.Want {
					t.Fatalf("%+v: %s is %x and reads %s, %v", r, text, w.raw, got, err)
				}
			}
		}
	}
}

func randomText(rng *rand.Rand, r *Register) string {
	switch r.Type {
	case "int16":
		return fmt.Sprint(int16(rng.Uint64()))
	case "uint16":
		return fmt.Sprint(uint16(rng.Uint64()))
	case "int32":
		return fmt.Sprint(int32(rng.Uint64()))
	case "uint32":
		return fmt.Sprint(uint32(rng.Uint64()))
	case "int64":
		return fmt.Sprint(int64(rng.Uint64()))
	case "uint64":
		return fmt.Sprint(rng.Uint64())
	case "float32":
		return floatValue(decimal(float32(rng.NormFloat64() * 1000))).String()
	case "float64":
		return floatValue(rng.NormFloat64() * math.Exp(20*rng.NormFloat64())).String()
	case "string":
		r.Count = 1 + rng.IntN(5)
		p := make([]byte, rng.IntN(2*r.Count+1))
		for i := range p {
			p[i] = "abcxyz019"[rng.IntN(9)]
		}
		return fmt.Sprintf("%q", p)
	case "bits":
		r.Count = 1 + rng.IntN(15)
		r.Bit = rng.IntN(16 - r.Count)
		return fmt.Sprint(rng.IntN(1 << r.Count))
	}
	r.Bit = rng.IntN(16)
	return fmt.Sprint(rng.IntN(2) == 1)
}

// A plan reads every register whole, within the limit, with no gap larger than allowed; and splitting it ends at single
// registers.
func TestPlansReadEverythingWithinTheLimits(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	types := []Type{"uint16", "int32", "float64", "string", "bit"}
	for range 3000 {
		regs := make([]Register, 1+rng.IntN(40))
		var items []int
		for i := range regs {
			regs[i] = Register{Kind: Kind(1 + rng.IntN(4)), Address: uint16(rng.IntN(300)), Type: types[rng.IntN(5)]}
			if regs[i].Kind.bits() {
				regs[i].Type, regs[i].Count = "bits", 1+rng.IntN(40)
			} else if regs[i].Type == "string" {
				regs[i].Count = 1 + rng.IntN(8)
			}
			items = append(items, i)
		}
		limit, gap := 8+rng.IntN(118), rng.IntN(10)
		blocks := Plan(regs, items, limit, gap)
		checkPlan(t, regs, blocks, limit, gap, len(regs))
		for len(blocks) > 0 {
			b := blocks[0]
			blocks = blocks[1:]
			parts, ok := b.Split(regs)
			if !ok {
				continue
			}
			checkPlan(t, regs, parts, b.Count, b.Count, len(b.Items))
			blocks = append(blocks, parts...)
		}
	}
}

func checkPlan(t *testing.T, regs []Register, blocks []Block, limit, gap, want int) {
	t.Helper()
	seen := map[int]bool{}
	for _, b := range blocks {
		if b.Count > max(b.Kind.maxCount(limit), 8) && len(b.Items) > 1 || len(b.PDU()) != 5 {
			t.Fatalf("block of %d registers, limit %d", b.Count, limit)
		}
		have := int(b.Address)
		for _, i := range b.Items {
			r := regs[i]
			if seen[i] || r.Kind != b.Kind || r.Address < b.Address || int(r.Address)+r.Size() > int(b.Address)+b.Count {
				t.Fatalf("register %d does not lie in its block %+v", i, b)
			}
			if int(r.Address) > have+gap {
				t.Fatalf("a gap of %d, allowed are %d", int(r.Address)-have, gap)
			}
			have = max(have, int(r.Address)+r.Size())
			seen[i] = true
		}
	}
	if len(seen) != want {
		t.Fatalf("%d registers planned of %d", len(seen), want)
	}
}

func TestCutFindsEveryRegisterInItsBlock(t *testing.T) {
	regs := []Register{{Kind: Coil, Address: 3, Type: "bits", Count: 10}, {Kind: Coil, Address: 17, Type: "bit"},
		{Kind: Input, Address: 100, Type: "uint32"}, {Kind: Input, Address: 103, Type: "uint16"}}
	blocks := Plan(regs, []int{0, 1, 2, 3}, 125, 8)
	if len(blocks) != 2 {
		t.Fatalf("%+v", blocks)
	}
	coils := blocks[0].Cut([]byte{0xff, 0x42}, regs[0]) // coils 3 to 18
	if v, err := regs[0].Decode(coils); err != nil || v.String() != "767" {
		t.Errorf("%s, %v", v, err)
	}
	if v, err := regs[1].Decode(blocks[0].Cut([]byte{0xff, 0x42}, regs[1])); err != nil || v.String() != "true" {
		t.Errorf("%s, %v", v, err)
	}
	data := []byte{0, 1, 0, 2, 9, 9, 0, 7}
	if v, err := regs[3].Decode(blocks[1].Cut(data, regs[3])); err != nil || v.String() != "7" {
		t.Errorf("%s, %v", v, err)
	}
	if blocks[1].Cut(data[:7], regs[3]) != nil {
		t.Error("a register beyond the answer was found")
	}
}

// Whatever stands around an answer, it is found; and noise alone is never taken for one.
func TestAnswersAreFoundInNoise(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 5000 {
		n := 1 + rng.IntN(20)
		q := Query{Unit: byte(1 + rng.IntN(247)), PDU: ReadPDU(Holding, uint16(rng.IntN(1000)), n),
			Transaction: uint16(rng.Uint32())}
		pdu := []byte{3, byte(2 * n)}
		for range 2 * n {
			pdu = append(pdu, byte(rng.Uint32()))
		}
		noise := make([]byte, rng.IntN(30))
		for i := range noise {
			noise[i] = byte(rng.Uint32()) | 1 // no zeros: TCP has nothing else to tell a header by
		}
		for _, p := range []Protocol{RTU, ASCII, TCP} {
			line := p.Append(append([]byte(nil), noise...), Query{Unit: q.Unit, PDU: pdu, Transaction: q.Transaction})
			a, ok := p.Find(line, q, false)
			if !ok || string(a.PDU) != string(pdu) || a.Skipped != len(noise) || a.Skipped+a.Size != len(line) {
				t.Fatalf("%s: %x in %x: %+v, %v", p, pdu, line, a, ok)
			}
			if _, ok := p.Find(line[:len(line)-1], q, false); ok {
				t.Fatalf("%s: found before its last byte", p)
			}
		}
	}
}

func FuzzFind(f *testing.F) {
	q := Query{Unit: 17, PDU: ReadPDU(Holding, 0x6b, 3), Transaction: 1}
	for _, p := range []Protocol{RTU, ASCII, TCP} {
		f.Add(string(p), p.Append(nil, Query{Unit: 17, PDU: []byte{3, 6, 2, 0x2b, 0, 0, 0, 100}, Transaction: 1}), q.PDU, true)
	}
	f.Add("rtu", []byte{17, 0x2b, 14, 1, 1, 0}, []byte{0x2b, 14, 1, 0}, true)
	f.Fuzz(func(t *testing.T, protocol string, got, request []byte, silent bool) {
		q := Query{Unit: 17, PDU: request, Transaction: 1}
		a, ok := Protocol(protocol).Find(got, q, silent)
		if !ok {
			return
		}
		if a.Skipped < 0 || a.Size <= 0 || a.Skipped+a.Size > len(got) || !answers(request, a.PDU) {
			t.Fatalf("%+v of %x", a, got)
		}
		if data, err := Data(request, a.PDU); err == nil && len(data) > len(got) {
			t.Fatal("more data than bytes")
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add("float32", "cdab", 0, 0, []byte{1, 2, 3, 4}, 0.0, 0.0)
	f.Add("string", "", 0, 3, []byte("meter "), 0.0, 0.0)
	f.Add("uint64", "", 0, 0, []byte("\xff\xff\xff\xff\xff\xff\xff\xff"), 0.1, -40.0)
	f.Fuzz(func(t *testing.T, kind, order string, bit, count int, raw []byte, scale, offset float64) {
		r := Register{Kind: Holding, Type: Type(kind), Order: Order(order), Bit: bit, Count: count, Writable: true,
			Scale: scale, Offset: offset}
		if r.Check() != nil {
			return
		}
		v, err := r.Decode(raw)
		if text, isText := v.Text(); err != nil || isText && strings.ContainsRune(text, '\uFFFD') { // what was no text stays none
			return
		}
		comesBack(t, r, raw, v)
	})
}

// comesBack fails unless what a register reads can be written to it, and is read then.
func comesBack(t *testing.T, r Register, raw []byte, v Value) {
	t.Helper()
	w, err := r.NewWrite(v.String())
	if err != nil {
		t.Fatalf("%+v: %x reads %s, which cannot be written: %v", r, raw, v, err)
	}
	if w.Want == v {
		return
	}
	got, _ := w.Want.Number()
	want, _ := v.Number()
	// of a scaled value the last digits are those of binary arithmetic, and of what a large offset or scale leaves
	slack := 1e-12 * (math.Abs(want) + math.Abs(r.Offset) + math.Abs(r.Scale))
	if !r.scaled() || math.Abs(got-want) > slack {
		t.Fatalf("%+v: %x reads %s, and what was written for it %s", r, raw, v, w.Want)
	}
}

// What a device says at the edge of its type is what an operator may send back.
func TestTheEdgesOfEveryTypeComeBack(t *testing.T) {
	scales := []struct{ scale, offset float64 }{{0, 0}, {1, 0}, {0.1, 0}, {0.001, 0}, {-0.1, 0}, {10, 0}, {1, -40}, {1, 0.5},
		{0.01, 273.15}, {-1, 0}, {1e-9, 0}}
	for kind, edges := range map[Type][]uint64{
		"int16":   {0, 1, 1<<15 - 1, 1 << 15, 1<<16 - 1},
		"uint16":  {0, 1, 1<<15 - 1, 1 << 15, 1<<16 - 1},
		"int32":   {0, 1<<31 - 1, 1 << 31, 1<<32 - 1},
		"uint32":  {0, 1<<31 - 1, 1 << 31, 1<<32 - 1},
		"int64":   {0, 1 << 53, 1<<53 + 1, 1<<63 - 1, 1<<63 - 1000, 1 << 63, 1<<63 + 1, 1<<64 - 1, ^uint64(1 << 53)},
		"uint64":  {0, 1 << 53, 1<<53 + 1, 1<<63 - 1, 1 << 63, 1<<64 - 1025, 1<<64 - 1024, 1<<64 - 1},
		"float32": float32Edges(),
		"float64": float64Edges(),
	} {
		for _, edge := range edges {
			for _, s := range scales {
				for _, order := range []Order{"abcd", "cdab", "badc", "dcba"} {
					r := Register{Name: "x", Kind: Holding, Type: kind, Order: order, Writable: true, Scale: s.scale,
						Offset: s.offset}
					raw := arrange(binary.BigEndian.AppendUint64(nil, edge)[8-2*r.Size():], order, false)
					v, err := r.Decode(raw)
					if err != nil { // beyond what a float64 holds, once scaled: it is never a text
						if f := math.Abs(math.Float64frombits(edge)); kind != "float64" || f < 1e306 {
							t.Errorf("%+v: %x: %v", r, raw, err)
						}
						continue
					}
					comesBack(t, r, raw, v)
					if w, _ := r.NewWrite(v.String()); !r.scaled() && !bytes.Equal(w.raw, raw) {
						t.Errorf("%+v: %x reads %s, and %x is written", r, raw, v, w.raw)
					}
				}
			}
		}
	}
}

func float32Edges() (all []uint64) {
	for _, f := range []float32{0, 1, 0.1, math.MaxFloat32, math.SmallestNonzeroFloat32, 1.1754942e-38, 1.17549435e-38,
		16777217} {
		all = append(all, uint64(math.Float32bits(f)), uint64(math.Float32bits(-f)))
	}
	return append(all, 1<<31, 0x7f7ffffe, 0xff7ffffe) // -0, and the neighbours of the largest ones
}

func float64Edges() (all []uint64) {
	for _, f := range []float64{0, 1, 0.1, math.MaxFloat64, math.SmallestNonzeroFloat64, 2.2250738585072014e-308, 1<<53 + 2,
		math.MaxFloat32} {
		all = append(all, math.Float64bits(f), math.Float64bits(-f))
	}
	return append(all, 1<<63)
}

func TestWhatIsNoNumberIsNeitherReadNorWritten(t *testing.T) {
	for kind, raws := range map[Type][]uint64{
		"float32": {0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001, 0xffffffff},
		"float64": {0x7ff << 52, 0xfff << 52, 0x7ff8 << 48, 0x7ff<<52 + 1, 1<<64 - 1},
	} {
		r := Register{Name: "x", Kind: Holding, Type: kind, Writable: true}
		for _, raw := range raws {
			if v, err := r.Decode(binary.BigEndian.AppendUint64(nil, raw)[8-2*r.Size():]); !errors.Is(err, ErrNotANumber) {
				t.Errorf("%s %x reads %s, %v", kind, raw, v, err)
			}
		}
		for _, text := range []string{"NaN", "Inf", "-inf", "1e309", "-1e309"} {
			if w, err := r.NewWrite(text); !errors.Is(err, ErrValue) {
				t.Errorf("%s: %s is written as %x, %v", kind, text, w.raw, err)
			}
		}
	}
	for _, c := range []struct {
		r    Register
		text string
	}{
		{Register{Type: "float32"}, "3.4028236e38"}, {Register{Type: "float32"}, "-1e39"},
		{Register{Type: "float32", Scale: 0.1}, "3.4029e37"},
		{Register{Type: "float64", Scale: 0.1}, "1.797693134863e307"}, {Register{Type: "float64", Scale: 1e-9}, "1e308"},
		{Register{Type: "uint64", Scale: 10}, "1.844674407371e20"}, {Register{Type: "int64", Scale: 10}, "-9.22337203686e19"},
		{Register{Type: "uint64"}, "18446744073709551616"}, {Register{Type: "int64"}, "9223372036854775808"},
		{Register{Type: "int64"}, "-9223372036854775809"}, {Register{Type: "uint16", Scale: 0.1}, "6553.6"},
		{Register{Type: "uint16"}, "-1"},
		{Register{Type: "uint64"}, "9007199254740993.0"}, {Register{Type: "int64"}, "-9.007199254740993e15"},
	} {
		c.r.Name, c.r.Kind, c.r.Writable = "x", Holding, true
		if w, err := c.r.NewWrite(c.text); !errors.Is(err, ErrValue) {
			t.Errorf("%+v: %s is written as %x, %v", c.r, c.text, w.raw, err)
		}
	}
}
