package kit

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Pty is a pseudo-terminal that plays a serial device. Port is a link to the slave, so that a device can go and come
// back under the same name as /dev/serial/by-id does. The harness keeps the slave open: what was written while no agent
// runs waits in the kernel's buffer (a UART's FIFO would drop it; that is not what is tested).
type Pty struct {
	Port   string
	Cooked bool // of the next Plug: the slave stays as the kernel makes it, with echo and editing

	mu     sync.Mutex
	master *os.File
	slave  *os.File
	in     []byte // what the agent wrote to the device
	paused atomic.Bool
	resume chan struct{}
	reader sync.WaitGroup
}

// Pty makes a device and the link to it.
func (e *Env) Pty(name string) (*Pty, error) {
	p := &Pty{Port: filepath.Join(e.Dir, "tty-"+name), resume: make(chan struct{}, 1)}
	if err := p.Plug(); err != nil {
		return nil, err
	}
	e.Defer(p.Unplug)
	return p, nil
}

// Plug makes the pair (anew, after Unplug) and points the link at it.
func (p *Pty) Plug() error {
	master, slave, err := openPty(p.Cooked)
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.master, p.slave = master, slave
	p.mu.Unlock()
	p.reader.Add(1)
	go p.read(master)
	_ = os.Remove(p.Port)
	if err := os.Symlink(slave.Name(), p.Port); err != nil {
		return fmt.Errorf("link to the pty: %w", err)
	}
	return nil
}

// Unplug takes the device away: the agent gets a hang-up.
func (p *Pty) Unplug() {
	p.mu.Lock()
	_ = p.slave.Close()
	_ = p.master.Close()
	p.mu.Unlock()
	_ = os.Remove(p.Port)
	p.Pause(false)
	p.reader.Wait()
}

// Free clears the exclusive flag that a killed agent leaves behind because the harness holds the slave open; without
// root the next open would fail.
func (p *Pty) Free() {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = unix.IoctlSetInt(int(p.slave.Fd()), unix.TIOCNXCL, 0)
}

// Write sends bytes as the device; it blocks while the kernel's buffer is full.
func (p *Pty) Write(b []byte) (int, error) {
	p.mu.Lock()
	m := p.master
	p.mu.Unlock()
	return m.Write(b)
}

// Received returns what the agent wrote to the device so far.
func (p *Pty) Received() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]byte(nil), p.in...)
}

// Pause stops (or goes on) taking what the agent writes, so that its writes block: a device under flow control.
func (p *Pty) Pause(on bool) {
	p.paused.Store(on)
	if !on {
		select {
		case p.resume <- struct{}{}:
		default:
		}
	}
}

func (p *Pty) read(master *os.File) {
	defer p.reader.Done()
	buf := make([]byte, 4096)
	for {
		for p.paused.Load() {
			<-p.resume
		}
		n, err := master.Read(buf)
		if err != nil {
			return
		}
		p.mu.Lock()
		p.in = append(p.in, buf[:n]...)
		p.mu.Unlock()
	}
}

// openPty opens a pair, raw unless it is to be cooked (no echo before the agent comes), with a master on the runtime's poller, so
// that Close ends a blocked Read or Write. creack/pty calls Fd, which takes the file off the poller.
func openPty(cooked bool) (master, slave *os.File, err error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("open /dev/ptmx: %w", err)
	}
	master = os.NewFile(uintptr(fd), "/dev/ptmx")
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		_ = master.Close()
		return nil, nil, fmt.Errorf("unlock the pty: %w", err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err == nil && !cooked {
		err = makeRaw(int(slave.Fd()))
	}
	if err != nil {
		_ = master.Close()
		return nil, nil, fmt.Errorf("open the pty's slave: %w", err)
	}
	return master, slave, nil
}

func makeRaw(fd int) error {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return fmt.Errorf("termios: %w", err)
	}
	t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
	t.Cflag = t.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8 | unix.CREAD | unix.CLOCAL
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, t); err != nil {
		return fmt.Errorf("termios: %w", err)
	}
	return nil
}
