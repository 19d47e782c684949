package hostile

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
)

// model is what a disk keeps of what was written to it.
type model string

const (
	killed   model = "SIGKILL"        // everything: the kernel lives
	lostData model = "power cut"      // names as they are; of data only what was synced
	torn     model = "torn writes"    // of what was not synced some sectors, others not
	lostName model = "names not kept" // of names, too, only what was synced with their directory
)

func models() []model { return []model{killed, lostData, torn, lostName} }

// sector is what a disk writes at once.
const sector = 512

// node is a file or a directory, and what of it is on the disk for sure.
type node struct {
	data, durable     []byte
	names, durableHas map[string]*node // of a directory; nil: a file
}

// disk is the state directory as a running system sees it, and knows what of it was synced.
type disk struct {
	root *node
	fds  map[int64]*handle
}

type handle struct {
	n      *node
	at     int64
	append bool
}

func folder() *node { return &node{names: map[string]*node{}, durableHas: map[string]*node{}} }

func newDisk() *disk { return &disk{root: folder(), fds: map[int64]*handle{}} }

func (d *disk) find(name string) *node {
	n := d.root
	for _, part := range elements(name) {
		if n == nil || n.names == nil {
			return nil
		}
		n = n.names[part]
	}
	return n
}

func elements(name string) []string {
	if name == "." {
		return nil
	}
	var all []string
	for name != "" && name != "." {
		all = append([]string{path.Base(name)}, all...)
		name = path.Dir(name)
	}
	return all
}

func (d *disk) parent(name string) (*node, string) { return d.find(path.Dir(name)), path.Base(name) }

func (d *disk) open(fd int64, name string, create, trunc, app bool) {
	n := d.find(name)
	if n == nil && create {
		if p, base := d.parent(name); p != nil && p.names != nil {
			n = &node{}
			p.names[base] = n
		}
	}
	if n == nil {
		delete(d.fds, fd)
		return
	}
	if trunc {
		n.data = nil
	}
	d.fds[fd] = &handle{n: n, append: app}
}

func (d *disk) mkdir(name string) {
	if name == "." {
		return
	}
	if p, base := d.parent(name); p != nil && p.names != nil && p.names[base] == nil {
		p.names[base] = folder()
	}
}

func (d *disk) rename(from, to string) {
	n := d.find(from)
	p, base := d.parent(from)
	q, target := d.parent(to)
	if n == nil || q == nil {
		return
	}
	delete(p.names, base)
	q.names[target] = n
}

func (d *disk) remove(name string) {
	if p, base := d.parent(name); p != nil {
		delete(p.names, base)
	}
}

func (d *disk) write(fd int64, b []byte, off int64) {
	h := d.fds[fd]
	if h == nil || h.n.names != nil {
		return
	}
	at := off
	if off < 0 {
		if at = h.at; h.append {
			at = int64(len(h.n.data))
		}
		h.at = at + int64(len(b))
	}
	if end := int(at) + len(b); len(h.n.data) < end {
		h.n.data = append(h.n.data, make([]byte, end-len(h.n.data))...)
	}
	copy(h.n.data[at:], b)
}

func (d *disk) truncate(fd, size int64) {
	h := d.fds[fd]
	if h == nil {
		return
	}
	if int64(len(h.n.data)) > size {
		h.n.data = h.n.data[:size]
	}
	h.n.data = append(h.n.data, make([]byte, size-int64(len(h.n.data)))...)
}

func (d *disk) sync(fd int64) {
	h := d.fds[fd]
	if h == nil {
		return
	}
	if h.n.names != nil {
		h.n.durableHas = maps.Clone(h.n.names)
		return
	}
	h.n.durable = slices.Clone(h.n.data)
}

// synced is all that is on the disk for sure, in files that a name leads to now.
func (d *disk) synced() []byte {
	var all bytes.Buffer
	var visit func(n *node)
	visit = func(n *node) {
		all.Write(n.durable)
		for _, name := range slices.Sorted(maps.Keys(n.names)) {
			visit(n.names[name])
		}
	}
	visit(d.root)
	return all.Bytes()
}

// restore writes into dir what the next start finds under a model.
func (d *disk) restore(dir string, m model, luck *rand.Rand) error {
	return restore(d.root, dir, m, luck)
}

func restore(n *node, dir string, m model, luck *rand.Rand) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	names := n.names
	if m == lostName {
		names = n.durableHas
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		child, at := names[name], filepath.Join(dir, name)
		if child.names != nil {
			if err := restore(child, at, m, luck); err != nil {
				return err
			}
			continue
		}
		if err := os.WriteFile(at, child.kept(m, luck), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// kept is the content of a file under a model.
func (n *node) kept(m model, luck *rand.Rand) []byte {
	switch m {
	case killed:
		return n.data
	case torn:
	default:
		return n.durable
	}
	kept := slices.Clone(n.durable)
	for i := 0; i < len(n.data); i += sector {
		end := min(i+sector, len(n.data))
		if luck.IntN(2) == 0 || len(n.durable) >= end && bytes.Equal(n.durable[i:end], n.data[i:end]) {
			continue
		}
		if len(kept) < end {
			kept = append(kept, make([]byte, end-len(kept))...)
		}
		copy(kept[i:end], n.data[i:end])
	}
	return kept
}
