package mcu

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// board is the microcontroller. It lives more than once: each life is a qemu of its own, with pseudo-terminals of its own.
type board struct {
	e    *kit.Env
	dir  string // links and logs
	elf  string
	life int
	proc *kit.Proc
	qmp  *monitor
	back time.Time  // when the first link was there again
	held []*os.File // the other ends, so that what is said before the gateway comes is not thrown away
	old  []*os.File // those of the last life, kept until the next one has other numbers
}

func newBoard(e *kit.Env) (b *board, err error) {
	b = &board{e: e}
	if b.dir, err = e.Sub("board"); err != nil {
		return nil, err
	}
	e.Defer(func() { b.pullOut(); b.drop() })
	b.elf, err = compileBoard(e)
	return b, err
}

// link is where the gateway finds a line.
func (b *board) link(line string) string { return filepath.Join(b.dir, "tty-"+line) }

// log is qemu's copy of what the UART of a line sent in a life.
func (b *board) log(line string, life int) string {
	return filepath.Join(b.dir, fmt.Sprintf("sent-%s-%d", line, life))
}

// plugIn starts a life: the links point at new pseudo-terminals, and the processor runs.
func (b *board) plugIn() error {
	b.life++
	socket := filepath.Join(b.dir, fmt.Sprint("qmp-", b.life))
	argv := []string{"qemu-system-arm", "-machine", "mps2-an385", "-nodefaults", "-display", "none", "-S", "-kernel", b.elf,
		"-qmp", "unix:" + socket + ",server=on,wait=off"}
	for _, line := range lines() {
		argv = append(argv, "-chardev", fmt.Sprintf("pty,id=%s,logfile=%s", line, b.log(line, b.life)), "-serial",
			"chardev:"+line)
	}
	var err error
	if b.proc, err = b.e.StartProc("qemu", "", nil, argv...); err != nil {
		return err
	}
	err = b.e.Until("qemu's monitor", patience, func() bool {
		b.qmp, err = newMonitor(socket)
		return err == nil || !b.proc.Running()
	})
	if err != nil {
		return fmt.Errorf("%w: %s", err, b.proc.Tail(5))
	}
	if err := b.hold(); err != nil {
		return err
	}
	return b.qmp.do("cont", nil, nil)
}

// hold opens the pseudo-terminals and makes the links.
func (b *board) hold() error {
	var devices []struct{ Label, Filename string }
	if err := b.qmp.do("query-chardev", nil, &devices); err != nil {
		return err
	}
	b.back = time.Now()
	for _, d := range devices {
		path, ok := strings.CutPrefix(d.Filename, "pty:")
		if !ok {
			continue
		}
		f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
		if err != nil {
			return fmt.Errorf("hold %s: %w", d.Label, err)
		}
		b.held = append(b.held, f)
		if err := os.Symlink(path, b.link(d.Label)); err != nil {
			return fmt.Errorf("link: %w", err)
		}
	}
	b.drop()
	if len(b.held) != len(lines()) {
		return fmt.Errorf("qemu has %d pseudo-terminals: %+v", len(b.held), devices)
	}
	return nil
}

// halt stops the processor between two instructions: nothing is sent any more.
func (b *board) halt() error { return b.qmp.do("stop", nil, nil) }

// pullOut ends a life by SIGKILL: the kernel hangs the lines up.
func (b *board) pullOut() {
	if b.proc != nil {
		b.proc.Kill()
	}
	if b.qmp != nil {
		b.qmp.close()
	}
	for _, line := range lines() {
		_ = os.Remove(b.link(line))
	}
	b.old, b.held = b.held, nil
}

// drop lets go of the pseudo-terminals of the last life, which were hung up when it ended.
func (b *board) drop() {
	for _, f := range b.old {
		_ = f.Close()
	}
	b.old = nil
}

// write says something to the microcontroller past the gateway: a line has no lock against noise.
func (b *board) write(line string, p []byte) error {
	target, err := os.Readlink(b.link(line))
	if err != nil {
		return err
	}
	for _, f := range b.held {
		if f.Name() == target {
			_, err = f.Write(p)
			return err
		}
	}
	return fmt.Errorf("nobody holds %s", target)
}

// ledRegister is CFG1 of the board's SCC, eight LEDs.
const ledRegister = 0x4002f004

// leds reads the register of the LEDs as a debugger would.
func (b *board) leds() (v uint32, err error) {
	var said string
	err = b.qmp.do("human-monitor-command", map[string]any{"command-line": fmt.Sprintf("xp /1wx %#x", ledRegister)}, &said)
	if err != nil {
		return 0, err
	}
	_, value, _ := strings.Cut(said, ": ")
	if _, err := fmt.Sscanf(value, "0x%x", &v); err != nil {
		return 0, fmt.Errorf("led register: %w: %q", err, said)
	}
	return v, nil
}

// lit waits until the LEDs are so.
func (b *board) lit(want uint32) error {
	var got uint32
	var err error
	if late := b.e.Until("the LEDs", 2*time.Second, func() bool {
		got, err = b.leds()
		return err != nil || got == want
	}); late != nil {
		return fmt.Errorf("%w: they are %#x, want %#x", late, got, want)
	}
	return err
}
