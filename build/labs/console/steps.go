package console

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// leave ends the operator's program in order.
func (s *scene) leave(p *kit.Proc) error {
	if err := p.Signal(syscall.SIGINT); err != nil {
		return err
	}
	code, err := p.Exit(10 * time.Second)
	if err == nil && code != 0 {
		err = fmt.Errorf("console: exit code %d: %s", code, p.Tail(5))
	}
	return err
}

// files sends a file to the device and one from it.
func (s *scene) files(t *kit.Table) error {
	s.wire.play(false)
	defer s.wire.play(true)
	p, path, err := s.console()
	if err != nil {
		return err
	}
	defer p.Kill()
	for _, way := range []struct{ name, from, to string }{
		{"a file to the device", path, s.wire.device}, {"a file from the device", s.wire.device, path}} {
		took, same, err := s.zmodem(way.from, way.to)
		if err != nil {
			return fmt.Errorf("%s: %w\nconsole: %s", way.name, err, p.Tail(5))
		}
		t.Exactly(way.name+" by ZMODEM: files with another hash", map[bool]int{true: 0, false: 1}[same], 0,
			fmt.Sprintf("of %d bytes", s.o.File), "")
		t.Info(way.name+" by ZMODEM: bytes a second", float64(s.o.File)/took.Seconds(), "B/s")
	}
	if notes := p.Tail(20); strings.Contains(notes, "missing") {
		t.Say("the console said: %s", notes)
	}
	return s.leave(p)
}

// zmodem lets sz talk on one terminal and rz on the other. socat stands between, so that they see no terminal themselves: at its
// end sz flushes that (TCIOFLUSH), which on a pseudo-terminal takes its own last bytes back, and rz waits 30 s for them.
func (s *scene) zmodem(from, to string) (took time.Duration, same bool, err error) {
	dir, err := s.e.Sub(fmt.Sprint("zmodem-", time.Now().UnixNano()))
	if err != nil {
		return 0, false, err
	}
	want := make([]byte, s.o.File)
	for i := range want {
		want[i] = byte(rand.Uint32())
	}
	file := filepath.Join(dir, "firmware.bin")
	if err := os.WriteFile(file, want, 0o600); err != nil {
		return 0, false, err
	}
	into := filepath.Join(dir, "got")
	if err := os.Mkdir(into, 0o700); err != nil {
		return 0, false, err
	}
	began := time.Now()
	rz, err := s.e.StartProc("rz-"+filepath.Base(dir), "", nil, "sh", "-c",
		`cd "$1" && exec socat -t 2 EXEC:"rz -q -b -y" FILE:"$2",noctty,raw,echo=0`, "sh", into, to)
	if err != nil {
		return 0, false, err
	}
	sz, err := s.e.StartProc("sz-"+filepath.Base(dir), "", nil, "socat", "-t", "2", "EXEC:sz -q -b "+file,
		"FILE:"+from+",noctty,raw,echo=0")
	if err != nil {
		return 0, false, err
	}
	defer rz.Kill()
	for _, end := range []*kit.Proc{sz, rz} {
		code, err := end.Exit(3 * time.Minute)
		if err != nil || code != 0 {
			return 0, false, fmt.Errorf("%s: exit code %d: %w: %s", end.Name, code, orEnded(err), end.Tail(3))
		}
	}
	got, err := os.ReadFile(filepath.Join(into, "firmware.bin"))
	return time.Since(began), sha256.Sum256(got) == sha256.Sum256(want), err
}

// lines shows that the remote port follows the baud rate of a program here, is busy for others, and has its own line afterwards.
func (s *scene) lines(t *kit.Table) error {
	p, path, err := s.console()
	if err != nil {
		return err
	}
	defer p.Kill()
	if err := setBaud(path, 57600); err != nil {
		return err
	}
	err = s.e.Until("the remote port to follow", 5*time.Second,
		func() bool { b, err := baudOf(s.wire.port); return err == nil && b == 57600 })
	t.Check("the remote port follows the baud rate that a program sets here", err)
	pico, err := s.e.StartProc("picocom", "", nil, "picocom", "-q", "-b", "19200", "--exit-after", "1500", "--initstring",
		"AT+GMR\r", path)
	if err != nil {
		return err
	}
	if code, err := pico.Exit(15 * time.Second); err != nil || code != 0 {
		return fmt.Errorf("picocom: exit code %d: %w: %s", code, orEnded(err), pico.Tail(5))
	}
	t.Check("picocom gets the echo of what it sends", expect(errors.New(pico.Tail(5)), "AT+GMR"))
	b, err := baudOf(s.wire.port)
	t.Exactly("the remote port has picocom's baud rate", int(b), 19200, "Bd", "")
	if err != nil {
		return err
	}
	shut, err := s.e.StartProc("shut", "", nil, s.ctl, "console", "gw", "shut", "--server", s.broker.URL())
	if err != nil {
		return err
	}
	t.Check("a device that does not say console: true is denied, exit status 1", refused(shut, "denied"))
	_, _, err = s.console()
	t.Check("a second console is refused", expect(err, "busy"))
	send, err := s.e.StartProc("send", "", nil, s.ctl, "send", "gw", "plc", "hello", "--server", s.broker.URL(),
		"--timeout", "5s")
	if err != nil {
		return err
	}
	t.Check("a command is refused meanwhile, exit status 1", refused(send, "busy"))
	if err := s.leave(p); err != nil {
		return err
	}
	err = s.e.Until("the remote port to have its line again", 5*time.Second,
		func() bool { b, err := baudOf(s.wire.port); return err == nil && b == 115200 })
	t.Check("the remote port has its own line afterwards", err)
	return nil
}

// terminal plays a person at a terminal: types a line, leaves with ~., and has the terminal as it was.
func (s *scene) terminal(t *kit.Table) error {
	const person = `(sleep 1; printf 'AT\r'; sleep 1; printf '\r~.'; sleep 1) | script -qec "$1 console gw plc --server $2 && stty -a" /dev/null`
	p, err := s.e.StartProc("terminal", "", nil, "sh", "-c", person, "sh", s.ctl, s.broker.URL())
	if err != nil {
		return err
	}
	code, err := p.Exit(20 * time.Second)
	if err == nil && code != 0 {
		err = fmt.Errorf("exit status %d", code)
	}
	said := p.Tail(40)
	t.Check("a terminal: what is typed comes back", errors.Join(err, expect(errors.New(said), "AT")))
	t.Check("a terminal: ~. leaves, and it is as it was", errors.Join(expect(errors.New(said), " icanon"),
		expect(errors.New(said), " echo ")))
	return nil
}

// refused is nil when a program ends with status 1, and says that word.
func refused(p *kit.Proc, word string) error {
	code, err := p.Exit(15 * time.Second)
	if err == nil && code != 1 {
		err = fmt.Errorf("exit status %d", code)
	}
	return errors.Join(err, expect(errors.New(p.Tail(3)), word))
}

func expect(err error, word string) error {
	if err == nil || !strings.Contains(err.Error(), word) {
		return fmt.Errorf("%q expected: %w", word, orEnded(err))
	}
	return nil
}

// taps looks at one command from both sides.
func (s *scene) taps(t *kit.Table) error {
	remote, err := s.e.StartProc("tap-remote", "", nil, s.ctl, "tap", "gw", "plc", "--server", s.broker.URL())
	if err != nil {
		return err
	}
	bin, err := s.e.BuildAgent("")
	if err != nil {
		return err
	}
	local, err := s.e.StartProc("tap-local", "", nil, bin, "tap", "plc", "--socket", s.agent.Socket())
	if err != nil {
		return err
	}
	begun := func() bool { return strings.Count(s.agent.Proc().Tail(40), "tap session started") >= 2 }
	if err := s.e.Until("two taps", 10*time.Second, begun); err != nil {
		return err
	}
	s.e.Sleep(3 * s.o.OneWay)
	send, err := s.e.StartProc("send-tapped", "", nil, s.ctl, "send", "gw", "plc", "tapped", "--server", s.broker.URL(),
		"--timeout", "5s")
	if err != nil {
		return err
	}
	if code, err := send.Exit(15 * time.Second); err != nil || code != 0 {
		return fmt.Errorf("send: exit code %d: %w: %s", code, orEnded(err), send.Tail(3))
	}
	for name, tap := range map[string]*kit.Proc{"linkbeatctl tap": remote, "linkbeat tap": local} {
		err := s.e.Until(name, 5*time.Second, func() bool {
			text := tap.Tail(20)
			return strings.Contains(text, "> 74 61 70 70 65 64 0a") && strings.Contains(text, "< 74 61 70 70 65 64 0a")
		})
		t.Check(name+" shows a command and its echo", err)
		if code, err := tap.Stop(10 * time.Second); err != nil || code != 0 {
			return fmt.Errorf("%s: exit code %d: %w: %s", name, code, orEnded(err), tap.Tail(3))
		}
	}
	return nil
}

// lease kills the operator and waits for the device to be free again.
func (s *scene) lease(t *kit.Table) error {
	p, _, err := s.console()
	if err != nil {
		return err
	}
	p.Kill()
	began := time.Now()
	err = s.e.Until("the lease to end", time.Minute, func() bool {
		return strings.Contains(s.agent.Proc().Tail(5), "nobody renewed the session")
	})
	if err != nil {
		return err
	}
	if p, _, err = s.console(); err != nil {
		return err
	}
	t.Within("the operator was killed: another has the console after", time.Since(began).Seconds(), 34, "s")
	return s.leave(p)
}

func setBaud(path string, baud uint32) error {
	return termios(path, func(fd int, t *unix.Termios) error {
		t.Cflag = t.Cflag&^unix.CBAUD | unix.BOTHER
		t.Ispeed, t.Ospeed = baud, baud
		return unix.IoctlSetTermios(fd, unix.TCSETS2, t)
	})
}

func baudOf(path string) (baud uint32, err error) {
	err = termios(path, func(_ int, t *unix.Termios) error { baud = t.Ospeed; return nil })
	return baud, err
}

func termios(path string, do func(fd int, t *unix.Termios) error) error {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS2)
	if err != nil {
		return err
	}
	return do(fd, t)
}
