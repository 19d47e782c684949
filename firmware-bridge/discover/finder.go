package discover

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/serialport"
)

// ErrClaimed: another device of ours has the port. Wrapped, with the path and that device.
var ErrClaimed = errors.New("is the port of the device")

// Our own choices: how long a list of ports is valid. With uevents it is read again at each of them, and all the same after a
// while, as one of them may have been lost.
const (
	listPolled  = 500 * time.Millisecond
	listWatched = 5 * time.Second
)

// Finder knows which ports are there and when that changes, and makes sure that no port is used twice. One for all devices of a
// process. Safe for concurrent use.
type Finder struct {
	sysfs  fs.FS // these three immutable
	dev    string
	listen func() (Uevents, error)

	mu       sync.Mutex
	watched  bool // uevents of ports come: one did
	ports    []PortInfo
	listErr  error // of the last listing
	listedAt time.Time
	changed  chan struct{}     // closed at the next change
	owners   map[string]string // by resolved path or address: the device that has it
}

// FinderOptions say where to look.
type FinderOptions struct {
	Sysfs fs.FS  // if nil, then /sys; must implement [fs.ReadLinkFS]
	Dev   string // if empty, then /dev; where device nodes are

	Listen func() (Uevents, error) // subscribes to uevents; if nil, then to those of the kernel
}

// NewFinder returns a finder. Without [Finder.Run] it looks again twice a second.
func NewFinder(o FinderOptions) *Finder {
	if o.Sysfs == nil {
		o.Sysfs = os.DirFS("/sys")
	}
	if o.Dev == "" {
		o.Dev = "/dev"
	}
	if o.Listen == nil {
		o.Listen = listenUevents
	}
	return &Finder{sysfs: o.Sysfs, dev: o.Dev, listen: o.Listen, changed: make(chan struct{}), owners: map[string]string{}}
}

// Uevents is a subscription to the kernel's messages about devices that come and go.
type Uevents interface {
	// Next waits for a message, until Close. The zero Uevent stands for messages that were lost.
	Next() (Uevent, error)
	// Close releases Next.
	Close() error
}

// Run receives uevents until ctx ends. It returns an error where the kernel sends none to us; then the finder looks twice a
// second. It does so until the first uevent about a port as well: in a user namespace (a container without root) one can
// subscribe to them, but none come.
func (f *Finder) Run(ctx context.Context) error {
	events, err := f.listen()
	if err != nil {
		return fmt.Errorf("uevents: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = events.Close() })
	defer func() {
		f.setWatched(false)
		if stop() {
			_ = events.Close()
		}
	}()
	f.Changed() // of what happened before no uevent came
	for {
		e, err := events.Next()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return fmt.Errorf("uevents: %w", err)
		case e == Uevent{}:
			f.Changed()
		case e.aboutPorts():
			f.setWatched(true)
		}
	}
}

func (f *Finder) setWatched(on bool) {
	f.mu.Lock()
	f.watched = on
	f.mu.Unlock()
	f.Changed()
}

// Changed is called after a port came or went, or may have.
func (f *Finder) Changed() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.listedAt = time.Time{}
	close(f.changed)
	f.changed = make(chan struct{})
}

// Changes returns a channel that is closed at the next change. Who waits for it looks again after a while all the same.
func (f *Finder) Changes() (changed <-chan struct{}, again time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed, f.listValid()
}

// listValid is how long a list of ports is valid; f.mu is held.
func (f *Finder) listValid() time.Duration {
	if f.watched {
		return listWatched
	}
	return listPolled
}

// Find returns the path of the port that is meant: [serialport.ErrAbsent] when there is none, another error when there are
// several.
func (f *Finder) Find(s Selector) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.listedAt.IsZero() || time.Since(f.listedAt) >= f.listValid() {
		f.ports, f.listErr = Ports(f.sysfs)
		f.listedAt = time.Now()
	}
	if f.listErr != nil {
		return "", f.listErr
	}
	p, err := s.choose(f.ports)
	if err == nil {
		return filepath.Join(f.dev, filepath.FromSlash(p.node())), nil
	}
	// a name that udev gives and we do not: of a port that is not on USB
	if s.ByPath != "" && errors.Is(err, serialport.ErrAbsent) {
		link := filepath.Join(f.dev, "serial/by-path", filepath.Base(s.ByPath))
		if _, serr := os.Stat(link); serr == nil {
			return link, nil
		}
	}
	return "", err
}

// Claim takes a port for a device until release is called. Two devices on one port would each read half of its bytes.
func (f *Finder) Claim(port, device string) (release func(), err error) {
	key := port
	if serialport.IsNetwork(port) {
		key = serialport.ServerKey(port)
	} else if to, err := filepath.EvalSymlinks(port); err == nil {
		key = to
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if first, taken := f.owners[key]; taken {
		return nil, fmt.Errorf("%s: %w %q", port, ErrClaimed, first)
	}
	f.owners[key] = device
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.owners, key)
	}, nil
}

// goneGrace is how long a port is read on after its device has left, for the last bytes. The kernel hangs such a port up by
// itself; this is for a driver that does not.
const goneGrace = 500 * time.Millisecond

// WhilePresent returns a context that ends with [serialport.ErrGone] when for goneGrace the selector has meant another port
// than path, or none.
func (f *Finder) WhilePresent(ctx context.Context, s Selector, path string) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var missed time.Time // since when
		for ctx.Err() == nil {
			changed, wait := f.Changes()
			now, err := f.Find(s)
			switch gone := err == nil && now != path || errors.Is(err, serialport.ErrAbsent); {
			case !gone: // an error, or a second port of its kind, says nothing about this one
				missed = time.Time{}
			case missed.IsZero():
				missed, wait = time.Now(), goneGrace
			case time.Since(missed) >= goneGrace:
				cancel(fmt.Errorf("%s: %w", path, serialport.ErrGone))
			default:
				wait = goneGrace - time.Since(missed)
			}
			Wait(ctx, wait, changed)
		}
	}()
	return ctx, func() {
		cancel(nil)
		<-ended
	}
}

// Wait waits for d, but no longer than until changed is closed, see [Finder.Changes]. A nil changed is never closed.
func Wait(ctx context.Context, d time.Duration, changed <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-changed:
	}
}
