// Package discovertest makes a sysfs for tests that look for serial ports. It imports nothing of ours.
package discovertest

import (
	"io/fs"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing/fstest"
)

// Tree builds a sysfs: a value that starts with "→" is a symbolic link.
func Tree(files map[string]string) fstest.MapFS {
	out := fstest.MapFS{}
	for name, data := range files {
		if to, ok := strings.CutPrefix(data, "→"); ok {
			out[name] = &fstest.MapFile{Data: []byte(to), Mode: fs.ModeSymlink | 0o777}
			continue
		}
		out[name] = &fstest.MapFile{Data: []byte(data + "\n"), Mode: 0o444}
	}
	return out
}

// FTDI are the files, for [Tree], of one FTDI adapter that got the name tty.
func FTDI(tty, serial string) map[string]string {
	const dev = "devices/pci0000:00/0000:00:14.0/usb1/1-1"
	return map[string]string{
		"class/tty/" + tty: "→../../" + dev + "/1-1:1.0/" + tty + "/tty/" + tty,
		dev + "/1-1:1.0/" + tty + "/tty/" + tty + "/device": "→../../../" + tty,
		dev + "/1-1:1.0/bInterfaceNumber":                   "00",
		dev + "/idVendor":                                   "0403",
		dev + "/idProduct":                                  "6001",
		dev + "/serial":                                     serial,
	}
}

// Sysfs is a sysfs that changes: each call sees it as it is at that moment. Safe for concurrent use.
type Sysfs struct {
	now atomic.Pointer[fstest.MapFS] // replaced, never changed

	changing sync.Mutex
}

// NewSysfs returns one with files as [Tree] takes them.
func NewSysfs(files map[string]string) *Sysfs {
	s := &Sysfs{}
	now := Tree(files)
	s.now.Store(&now)
	return s
}

// Show puts files in.
func (s *Sysfs) Show(files map[string]string) {
	s.change(func(all fstest.MapFS) { maps.Copy(all, Tree(files)) })
}

// Hide takes them away.
func (s *Sysfs) Hide(files map[string]string) {
	s.change(func(all fstest.MapFS) {
		for name := range files {
			delete(all, name)
		}
	})
}

func (s *Sysfs) change(how func(fstest.MapFS)) {
	s.changing.Lock()
	defer s.changing.Unlock()
	next := maps.Clone(*s.now.Load())
	how(next)
	s.now.Store(&next)
}

// Open implements [fs.FS].
func (s *Sysfs) Open(name string) (fs.File, error) { return s.now.Load().Open(name) }

// ReadLink implements [fs.ReadLinkFS].
func (s *Sysfs) ReadLink(name string) (string, error) { return s.now.Load().ReadLink(name) }

// Lstat implements [fs.ReadLinkFS].
func (s *Sysfs) Lstat(name string) (fs.FileInfo, error) { return s.now.Load().Lstat(name) }
