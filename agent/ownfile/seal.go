package ownfile

import (
	"bytes"
	"fmt"
	"hash/crc32"
)

// Seal is how JSON ends with the checksum of what stands before it, as its last key: Key is the comma and the key, End what
// stands behind the value. What rots on a disk is often still JSON; who does not know the key passes over it.
type Seal struct{ Key, End string }

// Append adds it to an object that lacks its closing brace, and white space before that.
func (s Seal) Append(p []byte) []byte {
	return fmt.Appendf(p, "%s\"%08x\"%s", s.Key, crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli)), s.End)
}

// Cut is the object before its seal, without the closing brace; nil where that is wrong. Without a seal it is p as it is.
func (s Seal) Cut(p []byte) (body []byte, sealed bool) {
	at := bytes.LastIndex(p, []byte(s.Key))
	if at < 0 {
		return p, false
	}
	if body = p[:at:at]; !bytes.Equal(s.Append(body), p) {
		return nil, true
	}
	return body, true
}
