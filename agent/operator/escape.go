package operator

// escape finds ~. at the beginning of a line, as ssh(1) does: what a person types to leave when
// everything else goes to the device.
type escape struct {
	off        bool
	lineBegins bool
	tilde      bool // held back
}

// filter returns what is for the device, and whether to leave.
func (e *escape) filter(p []byte) (out []byte, leave bool) {
	if e.off {
		return p, false
	}
	for _, c := range p {
		switch {
		case e.tilde && c == '.':
			return out, true
		case e.tilde && c == '~':
			out = append(out, '~')
			e.tilde, e.lineBegins = false, false
			continue
		case e.tilde:
			out = append(out, '~')
			e.tilde, e.lineBegins = false, false
		}
		if c == '~' && e.lineBegins {
			e.tilde = true
			continue
		}
		out = append(out, c)
		e.lineBegins = c == '\r' || c == '\n'
	}
	return out, false
}
