package modbus

// CRC16 is the checksum of RTU, sent low byte first (SERIAL 2.5.1.2): polynomial 0x8005 reflected, preset 0xFFFF.
func CRC16(p []byte) uint16 {
	crc := uint16(0xffff)
	for _, b := range p {
		crc ^= uint16(b)
		for range 8 {
			low := crc & 1
			crc >>= 1
			if low != 0 {
				crc ^= 0xa001
			}
		}
	}
	return crc
}

// LRC is the checksum of ASCII (SERIAL 2.5.2.2): the two's complement of the sum of the bytes.
func LRC(p []byte) byte {
	var sum byte
	for _, b := range p {
		sum += b
	}
	return -sum
}
