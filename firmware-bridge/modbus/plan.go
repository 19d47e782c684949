package modbus

import (
	"math"
	"slices"
	"sort"
)

// Block is registers of one kind that one request reads.
type Block struct {
	Kind    Kind
	Address uint16
	Count   int
	Items   []int // indexes of the registers that lie in it, by address
}

// Plan merges the registers named by items into as few blocks as limit (16-bit registers in one request; of bits 16 times as
// many) and gap (registers between two wanted ones that may be read for nothing) allow. A value is never split. A gap
// never holds a WriteOnly register: reading it may do something.
func Plan(regs []Register, items []int, limit, gap int) []Block {
	var keys []int64 // kind, address, index: in this order
	for _, i := range items {
		keys = append(keys, int64(regs[i].Kind)<<48|int64(regs[i].Address)<<32|int64(i))
	}
	sort.Slice(keys, func(i, j int) bool { return keys[i] < keys[j] })
	var blocks []Block
	for _, key := range keys {
		i := int(key & math.MaxUint32)
		r := regs[i]
		end := int(r.Address) + r.Size()
		if n := len(blocks); n > 0 && blocks[n-1].Kind == r.Kind {
			b := &blocks[n-1]
			have := int(b.Address) + b.Count
			count := max(end, have) - int(b.Address)
			if int(r.Address) <= have+gap && count <= r.Kind.maxCount(limit) &&
				!writeOnlyBetween(regs, r.Kind, have, int(r.Address)) {
				b.Count = count
				b.Items = append(b.Items, i)
				continue
			}
		}
		blocks = append(blocks, Block{Kind: r.Kind, Address: r.Address, Count: r.Size(), Items: []int{i}})
	}
	return blocks
}

// writeOnlyBetween is true when a register from one address to before another must not be read.
func writeOnlyBetween(regs []Register, k Kind, from, to int) bool {
	return slices.ContainsFunc(regs, func(r Register) bool {
		return r.WriteOnly && r.Kind == k && int(r.Address) < to && int(r.Address)+r.Size() > from
	})
}

func (k Kind) maxCount(limit int) int {
	if k.bits() {
		return min(16*limit, MaxBits)
	}
	return min(limit, MaxWords)
}

// PDU is the request that reads the block.
func (b Block) PDU() []byte { return ReadPDU(b.Kind, b.Address, b.Count) }

// Cut is the part of a block's data that belongs to one of its registers.
func (b Block) Cut(data []byte, r Register) []byte {
	at, size := int(r.Address)-int(b.Address), r.Size()
	if !b.Kind.bits() {
		if len(data) < 2*(at+size) {
			return nil
		}
		return data[2*at : 2*(at+size)]
	}
	if len(data) < (at+size+7)/8 {
		return nil
	}
	out := make([]byte, (size+7)/8)
	for i := range size {
		if data[(at+i)/8]>>((at+i)%8)&1 != 0 {
			out[i/8] |= 1 << (i % 8)
		}
	}
	return out
}

// Split cuts a block in two, for a unit that refuses to read it as a whole: it may lack a register in the gaps, or one of those
// that are wanted. False: only one register, which is to blame itself.
func (b Block) Split(regs []Register) ([]Block, bool) {
	if len(b.Items) < 2 {
		return nil, false
	}
	half := len(b.Items) / 2
	var parts []Block
	for _, items := range [][]int{b.Items[:half], b.Items[half:]} {
		whole := MaxBits * 2 // they were in one request: only the ends change
		parts = append(parts, Plan(regs, items, whole, whole)...)
	}
	return parts, true
}
