package spool

// census knows whose the records of a segment are, so that one of which everything that waits is passed over need not be read.
type census struct {
	of   []uint16       // the number of each record's stream, in the order of the segment
	left map[uint16]int // by that: how many of them wait
}

// add is called with each record, in order; it waits.
func (c *census) add(id uint16) {
	c.of = append(c.of, id)
	if c.left == nil {
		c.left = map[uint16]int{}
	}
	c.left[id]++
}

// finish is called with n records from the first on that wait no more.
func (c *census) finish(first, n int) {
	for _, id := range c.of[first : first+n] {
		if c.left[id]--; c.left[id] == 0 {
			delete(c.left, id)
		}
	}
}

// recount counts anew which of the records that a segment holds wait.
func (c *census) recount(holds, waits spans) {
	c.left = map[uint16]int{}
	for _, r := range waits {
		first := holds.index(r.first)
		for _, id := range c.of[first : first+int(r.last-r.first)+1] {
			c.left[id]++
		}
	}
}

// id is the number of a stream in segments.
func (d *disk) id(stream string) uint16 {
	id, ok := d.ids[stream]
	if !ok {
		if d.ids == nil {
			d.ids = map[string]uint16{}
		}
		id = uint16(len(d.names)) // of each epoch maxStreams at most, and of few epochs something waits
		d.ids[stream] = id
		d.names = append(d.names, stream)
	}
	return id
}

// passes tells whether everything that waits in g is of streams that pass.
func (d *disk) passes(g *segment, passes func(stream string) bool) bool {
	if passes == nil {
		return false
	}
	for id := range g.census.left {
		if !passes(d.names[id]) {
			return false
		}
	}
	return true
}

// Waiting is how many records wait, by stream.
func (s *Spool) WaitingBy() map[string]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := map[string]int64{}
	for _, g := range s.disk.segments {
		for id, left := range g.census.left {
			n[s.disk.names[id]] += int64(left)
		}
	}
	for i := range s.tail {
		n[s.tail[i].stream]++
	}
	for i := range s.pendingEvicts {
		n[s.pendingEvicts[i].stream]++
	}
	return n
}
