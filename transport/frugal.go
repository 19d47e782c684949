package transport

// Frugal changes what the link may cost. Safe for concurrent use.
func (l *Link) Frugal(f Frugality) {
	if !l.learner.SetLevel(f) || l.learner.On() {
		return
	}
	if s, _ := l.current(); s != nil {
		mainLink{s}.SetInterval(l.learner.Idle())
	}
}
