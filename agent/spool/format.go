package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"time"
)

// A segment is a file named after its first position, %016x.seg: eight bytes of magic, then records back to back.
//
//	 0        4        8         16        24         32        36       37      38
//	+--------+--------+---------+---------+----------+---------+--------+-------+--------+------+
//	| crc32c | length | pos     | seq     | unix ms  | epoch   | kind   | names | stream | data |
//	+--------+--------+---------+---------+----------+---------+--------+-------+--------+------+
//
// Big endian. length counts everything behind itself; crc32c (Castagnoli) covers everything behind the crc, length included.
// names is the length of stream. A record of position 0 is a note of what the clocks said: see note. kind is 0 for data and 1 for
// a gap, whose data is
//
//	+------+------+-----------------+--------+
//	| from | to   | epoch of those  | reason |      8, 8, 4 and 1 bytes
//	+------+------+-----------------+--------+
const (
	segmentMagic  = "LBspool1"
	segmentSuffix = ".seg"
	recordHeader  = 38
	lengthOffset  = 4
	bodyOffset    = 8 // where length begins to count
	gapBytes      = 8 + 8 + 4 + 1
	maxStreamName = 255
	maxRecord     = 32 << 20 // bytes of data; more is a length gone rotten

	kindData = 0
	kindGap  = 1
)

var errBadRecord = errors.New("bad record")

// castagnoli is the polynomial that CPUs have an instruction for.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// record is a Record as the spool holds it.
type record struct {
	pos    Pos
	seq    Seq
	at     time.Time     // of the append, by the wall clock of then
	up     time.Duration // the same by the clock of ages; of one that was read from disk, about
	epoch  uint32
	stream string
	data   []byte // nil with gap
	gap    *gap

	believed bool // the wall clock was
}

type gap struct {
	from, to Seq
	epoch    uint32
	reason   byte
}

func reasons() []Reason {
	return []Reason{ReasonFull, ReasonAge, ReasonCorrupt, ReasonRestart, ReasonPoison}
}

func reasonCode(r Reason) byte {
	for i, known := range reasons() {
		if r == known {
			return byte(i)
		}
	}
	return 0
}

func epochName(e uint32) string { return fmt.Sprintf("%08x", e) }

// size is what the record takes on disk, in bytes; it is what is counted in memory too.
func (r *record) size() int64 {
	n := recordHeader + len(r.stream) + len(r.data)
	if r.gap != nil {
		n += gapBytes
	}
	return int64(n)
}

func (r *record) appendTo(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(r.size()-bodyOffset))
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.pos))
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.seq))
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.at.UnixMilli()))
	dst = binary.BigEndian.AppendUint32(dst, r.epoch)
	kind := byte(kindData)
	if r.gap != nil {
		kind = kindGap
	}
	dst = append(dst, kind, byte(len(r.stream)))
	dst = append(dst, r.stream...)
	dst = append(dst, r.data...)
	if g := r.gap; g != nil {
		dst = binary.BigEndian.AppendUint64(dst, uint64(g.from))
		dst = binary.BigEndian.AppendUint64(dst, uint64(g.to))
		dst = binary.BigEndian.AppendUint32(dst, g.epoch)
		dst = append(dst, g.reason)
	}
	sum := crc32.Checksum(dst[start+lengthOffset:], castagnoli())
	binary.BigEndian.PutUint32(dst[start:], sum)
	return dst
}

// parseRecord reads the record at the head of p and returns how many bytes it takes; data is copied.
func parseRecord(p []byte) (record, int, error) {
	if len(p) < recordHeader {
		return record{}, 0, errBadRecord
	}
	n := int64(bodyOffset) + int64(binary.BigEndian.Uint32(p[lengthOffset:]))
	names := int64(p[37])
	if n < recordHeader+names || n > recordHeader+maxStreamName+maxRecord || n > int64(len(p)) {
		return record{}, 0, errBadRecord
	}
	if crc32.Checksum(p[lengthOffset:n], castagnoli()) != binary.BigEndian.Uint32(p) {
		return record{}, 0, errBadRecord
	}
	r := record{
		pos: Pos(binary.BigEndian.Uint64(p[8:])), seq: Seq(binary.BigEndian.Uint64(p[16:])),
		at:    time.UnixMilli(int64(binary.BigEndian.Uint64(p[24:]))),
		epoch: binary.BigEndian.Uint32(p[32:]), stream: string(p[recordHeader : recordHeader+names]),
	}
	rest := p[recordHeader+names : n]
	switch p[36] {
	case kindData:
		r.data = append([]byte{}, rest...)
	case kindGap:
		if len(rest) != gapBytes || int(rest[20]) >= len(reasons()) {
			return record{}, 0, errBadRecord
		}
		r.gap = &gap{from: Seq(binary.BigEndian.Uint64(rest)), to: Seq(binary.BigEndian.Uint64(rest[8:])),
			epoch: binary.BigEndian.Uint32(rest[16:]), reason: rest[20]}
	default:
		return record{}, 0, errBadRecord
	}
	return r, int(n), nil
}

// public is the record as callers see it; at is when it was appended, by the clock of now.
func (r *record) public(at time.Time) Record {
	out := Record{Pos: r.pos, Epoch: epochName(r.epoch), Stream: r.stream, Seq: r.seq, Time: at, Data: r.data}
	if g := r.gap; g != nil {
		out.Gap = &Gap{From: g.from, To: g.to, Epoch: epochName(g.epoch), Reason: reasons()[g.reason]}
	}
	return out
}

func segmentName(first Pos) string { return fmt.Sprintf("%016x%s", uint64(first), segmentSuffix) }

func parseSegmentName(name string) (Pos, bool) {
	if len(name) != 20 || name[16:] != segmentSuffix {
		return 0, false
	}
	n, err := strconv.ParseUint(name[:16], 16, 64)
	return Pos(n), err == nil
}
