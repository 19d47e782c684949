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

// Our own choices: how long a list of ports is good. Where uevents come it is read anew at each of them, and soon enough to find what
// one of them that got lost would have told.
const (
	listPolled  = 500 * time.Millisecond
	listWatched = 5 * time.Second
)

// Finder knows which ports are there, hears of changes, and sees to it that no port is used twice. One for all devices of a
// process. Safe for concurrent use.
type Finder struct {
	sysfs  fs.FS // these three immutable
	dev    string
	listen func() (Uevents, error)

	mu      sync.Mutex
	watched bool // uevents of ports come: one did
	ports   []PortInfo
	fault   error // of the last listing
	read    time.Time
	news    chan struct{}     // closed at the next change
	owners  map[string]string // by resolved path or address: the device that has it
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
	return &Finder{sysfs: o.Sysfs, dev: o.Dev, listen: o.Listen, news: make(chan struct{}), owners: map[string]string{}}
}

// Uevents is a subscription to what the kernel says of devices that come and go.
type Uevents interface {
	// Next waits for a message, until Close. The zero Uevent stands for messages that got lost.
	Next() (Uevent, error)
	// Close releases Next.
	Close() error
}

// Run hears uevents until ctx ends. Where the kernel has none for us it returns an error; the finder then looks twice a second. So it does
// until the first one about a port was heard: in a user namespace (a container without root) they can be subscribed to, and never come.
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
	f.Changed() // what happened before nobody told
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
	f.read = time.Time{}
	close(f.news)
	f.news = make(chan struct{})
}

// Changes is closed at the next change; who waits for it looks again after a while all the same.
func (f *Finder) Changes() (news <-chan struct{}, again time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.news, f.patience()
}

// patience is how long a list of ports is good; f.mu is held.
func (f *Finder) patience() time.Duration {
	if f.watched {
		return listWatched
	}
	return listPolled
}

// Find returns the path of the port that is meant: [serialport.ErrAbsent] when there is none, another error when there are several.
func (f *Finder) Find(s Selector) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.read.IsZero() || time.Since(f.read) >= f.patience() {
		f.ports, f.fault = Ports(f.sysfs)
		f.read = time.Now()
	}
	if f.fault != nil {
		return "", f.fault
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

// Claim takes a port for a device until release is called. Two that mean one port would each read half of it.
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

// goneGrace is how long a port whose device has left may go on: what it said last is still read. The kernel hangs it up itself;
// this is for a driver that does not.
const goneGrace = 500 * time.Millisecond

// WhilePresent returns a context that ends with [serialport.ErrGone] once the selector has meant another port than path, or none, for goneGrace.
func (f *Finder) WhilePresent(ctx context.Context, s Selector, path string) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var missed time.Time // since when
		for ctx.Err() == nil {
			news, wait := f.Changes()
			now, err := f.Find(s)
			switch gone := err == nil && now != path || errors.Is(err, serialport.ErrAbsent); {
			case !gone: // a fault or a second one of its kind says nothing of this one
				missed = time.Time{}
			case missed.IsZero():
				missed, wait = time.Now(), goneGrace
			case time.Since(missed) >= goneGrace:
				cancel(fmt.Errorf("%s: %w", path, serialport.ErrGone))
			default:
				wait = goneGrace - time.Since(missed)
			}
			Wait(ctx, wait, news)
		}
	}()
	return ctx, func() {
		cancel(nil)
		<-ended
	}
}

// Wait waits, but no longer than until news, see [Finder.Changes]; nil: none come.
func Wait(ctx context.Context, d time.Duration, news <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-news:
	}
}
