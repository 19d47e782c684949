package framing

// rtuLengths are those of a request and of its answer that begin with p; -1: not known yet, 0: none.
func rtuLengths(p []byte) (request, answer int) {
	counted := func(at, rest int) int { // rest bytes, and as many as the one at says
		if at >= len(p) {
			return -1
		}
		return rest + int(p[at])
	}
	if len(p) < 2 {
		return -1, -1
	}
	switch function := p[1]; function {
	case 1, 2, 3, 4: // read coils, discrete inputs, holding and input registers
		return 8, counted(2, 5)
	case 5, 6, 8: // write one coil or register, diagnostics
		return 8, 8
	case 7: // exception status
		return 4, 5
	case 11: // event counter
		return 4, 8
	case 12, 17: // event log, server id
		return 4, counted(2, 5)
	case 15, 16: // write coils, registers
		return counted(6, 9), 8
	case 20, 21: // files
		return counted(2, 5), counted(2, 5)
	case 22: // mask write
		return 10, 10
	case 23: // read and write registers
		return counted(10, 13), counted(2, 5)
	default:
		if function > 0x80 { // exception
			return 5, 5
		}
		return 0, 0
	}
}

// known is true when p has the size that its function says.
func known(p []byte) bool {
	request, answer := rtuLengths(p)
	return len(p) == request || len(p) == answer
}

// fits is false when a right frame has not the size that its function says: rather the beginning of one, right by accident.
func fits(p []byte) bool {
	request, _ := rtuLengths(p)
	return request == 0 || known(p)
}
