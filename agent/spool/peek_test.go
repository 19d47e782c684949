package spool

// peeker is a lone reader that may start over at any position: nothing behind that is out then.
type peeker struct {
	of     *Spool
	reader *Reader
}

func (k *peeker) peek(s *Spool, after Pos, maxRecords, maxBytes int) ([]Record, error) {
	if k.of != s {
		k.of, k.reader = s, s.Reader(nil)
	}
	s.mu.Lock()
	s.out.remove(span{after + 1, everything})
	s.settleEvicts()
	s.mu.Unlock()
	k.reader.Between(after, 0)
	return k.reader.Next(nil, maxRecords, maxBytes)
}

// Peek returns what waits behind after.
func (f *fixture) Peek(after Pos, _ []Record, maxRecords, maxBytes int) ([]Record, error) {
	return f.peeker.peek(f.Spool, after, maxRecords, maxBytes)
}
