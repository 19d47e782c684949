package config

import (
	"math/bits"
	"strings"

	"github.com/linkbeat/linkbeat/firmware-bridge/framing"
)

func (c *checker) checkFrame(at string, f Frame) {
	kind, ok := framing.KindOf(f.Type)
	if !ok || c.faulted(at+".type") {
		return // which keys it takes is not known
	}
	for _, key := range framing.Keys() {
		if c.set(at+"."+key) && !kind.Takes(key) {
			c.bad(at+"."+key, "belongs to type: %s, and the type is %s", strings.Join(framing.Taking(key), ", "), f.Type)
		}
	}
	c.checkKeep(at, f, kind)
	c.checkChecksum(at, f)
	switch f.Type {
	case frameDelimiter:
		if len(f.Bytes) == 0 || len(f.Bytes) > 16 {
			c.bad(at+".bytes", `must be 1 to 16 bytes in hex, such as "0d0a"`)
		}
	case frameIdle:
		if (f.Gap > 0) == (f.Chars > 0) {
			c.bad(at, "of type idle needs exactly one of gap (such as 20ms) and chars (such as 3.5)")
		}
	case frameFixed:
		c.checkFixed(at, f)
		c.checkResync(at, f)
	case frameLength:
		c.checkLength(at, f)
		c.checkResync(at, f)
	case frameModbusRTU:
		if f.Max < 4 {
			c.bad(at+".max", "is less than the 4 bytes of the shortest frame")
		}
	}
	if c.faultedBelow(at) {
		return
	}
	if err := f.tryOut(); err != nil {
		c.bad(at, "cannot be: %s", err)
	}
}

func (c *checker) checkKeep(at string, f Frame, kind framing.Kind) {
	switch {
	case !f.Keep:
	case kind.NoKeep != "":
		c.bad(at+".keep", "has no meaning: %s", kind.NoKeep)
	case !kind.KeepsMore && f.Checksum == "" && !c.faulted(at+".checksum"):
		c.bad(at+".keep", "has nothing to keep without a checksum, and the type is %s", f.Type)
	}
}

func (c *checker) checkChecksum(at string, f Frame) {
	if f.Checksum != "" || c.faulted(at+".checksum") {
		return
	}
	for _, key := range []string{"checksum_order", "checksum_from", "checksum_over"} {
		if c.set(at + "." + key) {
			c.bad(at+"."+key, "has no meaning without checksum")
		}
	}
}

func (c *checker) checkFixed(at string, f Frame) {
	sum := framing.ChecksumSize(f.Checksum)
	switch {
	case f.Size == 0:
		c.bad(at+".size", "is missing: how many bytes a frame has")
	case Size(f.Size) > f.Max:
		c.bad(at+".size", "is more than max (%s)", f.Max)
	case len(f.Header) > f.Size:
		c.bad(at+".header", "is longer than the frame (%d bytes)", f.Size)
	case len(f.Header)+sum > f.Size:
		c.bad(at+".size", "has no room for the header and the checksum (%d bytes)", len(f.Header)+sum)
	case f.ChecksumFrom+sum > f.Size:
		c.bad(at+".checksum_from", "is behind the end of what a checksum of %d bytes can cover in %d", sum, f.Size)
	}
}

func (c *checker) checkLength(at string, f Frame) {
	if c.faulted(at + ".width") {
		return
	}
	bare := f.Offset + f.Width + framing.ChecksumSize(f.Checksum) + len(f.Trailer)
	switch {
	case f.Width == 0:
		c.bad(at+".width", "is missing: how many bytes the length has, 1 to 4")
	case f.Offset < len(f.Header):
		c.bad(at+".offset", "lies inside the header of %d bytes: it counts from the start of the frame", len(f.Header))
	case f.Offset > len(f.Header) && !f.Keep:
		c.bad(at+".offset", "leaves %d bytes between header and length, which would be cut off with them: set keep: true",
			f.Offset-len(f.Header))
	case uint64(f.Mask) >= 1<<(8*f.Width):
		c.bad(at+".mask", "has bits that a length of %d bytes has not", f.Width)
	case Size(bare) > f.Max:
		c.bad(at+".max", "is less than a frame without payload (%d bytes)", bare)
	case f.ChecksumFrom > f.Offset+f.Width:
		c.bad(at+".checksum_from", "is behind the length, which ends at byte %d", f.Offset+f.Width)
	}
}

// searchBytes is the most that a byte of noise may cost: a small ARM computes a checksum over so many bytes in the time that one
// character takes at 115200 baud.
const searchBytes = 4 << 10

// checkResync warns when the next frame after a lost byte is never found, or found at a high price: each false start costs a
// checksum over as many bytes as it says.
func (c *checker) checkResync(at string, f Frame) {
	if f.Size+f.Width == 0 || c.faulted(at+".width") {
		return
	}
	if len(f.Header) == 0 && f.Checksum == "" && f.Gap == 0 {
		c.odd(at, "of type %s with neither header, checksum nor gap never finds back after a byte was lost: set one of them",
			f.Type)
	}
	if f.Checksum == "" {
		return
	}
	cost := uint64(f.Size)
	if f.Type == frameLength {
		width := 8 * f.Width // bits of a length
		if f.Mask != 0 {
			width = bits.OnesCount32(uint32(f.Mask))
		}
		longest := min(uint64(f.Max), 1<<width)
		cost = longest * longest / 2 >> width // the mean over all lengths: those above max cost nothing
	}
	if cost >>= 8 * len(f.Header); cost > searchBytes {
		c.odd(at, "costs a checksum over %d bytes for each byte of noise, which may be too slow for the line: "+
			"lower max, or set header", cost)
	}
}
