package netdial

import "net"

// Bytes of headers of one TCP segment: IP, TCP and its timestamps. The link layer below is not on the plan.
const (
	Headers4 = 20 + 20 + 12
	headers6 = 40 + 20 + 12
)

// wireCost is what c has cost on the wire so far, headers, acknowledgements and retransmissions included, in bytes, as the
// kernel counts it (TCP_INFO). False when the kernel does not tell, or c is no socket.
func wireCost(c net.Conn) (int64, bool) {
	info, ok := tcpInfo(c)
	if !ok || info.Segs_out == 0 { // qemu's user mode tells 0
		return 0, false
	}
	headers := int64(Headers4)
	if tcp, ok := c.RemoteAddr().(*net.TCPAddr); ok && tcp.IP.To4() == nil {
		headers = headers6
	}
	return headers*(int64(info.Segs_out)+int64(info.Segs_in)) + int64(info.Bytes_sent) + int64(info.Bytes_received), true
}
