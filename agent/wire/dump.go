package wire

import (
	"fmt"
	"time"
)

// dumpRow is how many bytes stand in a line of a dump.
const dumpRow = 16

// AppendDump adds bytes as people read them: the time of the first, the direction (< from the device, > to
// it), hex digits and text.
func AppendDump(dst []byte, at time.Time, out bool, p []byte) []byte {
	arrow := byte('<')
	if out {
		arrow = '>'
	}
	stamp := at.Format("15:04:05.000")
	for begin := 0; begin < len(p); begin += dumpRow {
		row := p[begin:min(begin+dumpRow, len(p))]
		dst = append(dst, stamp...)
		dst = append(dst, ' ', arrow, ' ')
		for i := range dumpRow {
			if i < len(row) {
				dst = fmt.Appendf(dst, "%02x ", row[i])
			} else {
				dst = append(dst, "   "...)
			}
		}
		dst = append(dst, ' ')
		for _, c := range row {
			if c < ' ' || c > '~' {
				c = '.'
			}
			dst = append(dst, c)
		}
		dst = append(dst, '\n')
		stamp = "            "
	}
	return dst
}
