package console

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// echoSlack is how much later than the round trip of the path a key may come back.
const echoSlack = 20 * time.Millisecond

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// withTerminal opens the pseudo-terminal of a console as a program would.
func (s *scene) withTerminal(work func(tty *os.File) error) error {
	p, path, err := s.console()
	if err != nil {
		return err
	}
	defer p.Kill()
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	tty := os.NewFile(uintptr(fd), path)
	defer tty.Close()
	if err := work(tty); err != nil {
		return fmt.Errorf("%w; console: %s", err, p.Tail(3))
	}
	return s.leave(p)
}

// echo types keys into the pseudo-terminal and times what comes back from the device: each after the one before is back, and as a
// person types.
func (s *scene) echo(t *kit.Table) error {
	s.wire.play(true)
	return s.withTerminal(func(tty *os.File) error {
		t.Info("round trip of the path", ms(2*s.o.OneWay), "ms")
		took, err := s.keys(tty, true)
		if err != nil {
			return err
		}
		s.judge(t, "a key comes back from the device after", took)
		if took, err = s.keys(tty, false); err == nil {
			s.judge(t, "keys 30 to 130 ms apart come back after", took)
		}
		return err
	})
}

// keys are how long each key takes; wait: until it is back before the next.
func (s *scene) keys(tty *os.File, wait bool) (took []time.Duration, err error) {
	typed, back := make(chan time.Time, s.o.Keys), make(chan error, 1)
	_ = tty.SetReadDeadline(time.Now().Add(time.Duration(s.o.Keys)*time.Second + 10*time.Second))
	once := make(chan struct{}, s.o.Keys)
	go func() {
		b := make([]byte, 1)
		for i := range s.o.Keys {
			if _, err := tty.Read(b); err != nil || b[0] != key(i) {
				back <- fmt.Errorf("key %d: came back %q: %w", i, b, orEnded(err))
				return
			}
			took = append(took, time.Since(<-typed))
			once <- struct{}{}
		}
		back <- nil
	}()
	for i := range s.o.Keys {
		typed <- time.Now()
		if _, err := tty.Write([]byte{key(i)}); err != nil {
			return nil, err
		}
		if wait {
			select {
			case <-once:
			case err := <-back:
				return nil, err
			}
		}
		s.e.Sleep(30*time.Millisecond + rand.N(100*time.Millisecond))
	}
	err = <-back
	return took, err
}

func key(i int) byte { return byte('a' + i%26) }

func (s *scene) judge(t *kit.Table, what string, took []time.Duration) {
	slices.Sort(took)
	most := ms(2*s.o.OneWay + echoSlack)
	t.Within(what+", median", ms(took[len(took)/2]), most, "ms")
	t.Within(fmt.Sprintf("%s, worst of %d", what, len(took)), ms(took[len(took)-1]), most, "ms")
}

// bulk sends random bytes through the console to an echo, and compares what comes back byte by byte: no protocol mends anything
// here. cut: the gateway's connection is reset in the middle.
func (s *scene) bulk(t *kit.Table, what string, cut bool) error {
	want := make([]byte, s.o.File)
	for i := range want {
		want[i] = byte(rand.Uint32())
	}
	return s.withTerminal(func(tty *os.File) error {
		began := time.Now()
		go func() { _, _ = tty.Write(want) }()
		_ = tty.SetReadDeadline(began.Add(2 * time.Minute))
		got := make([]byte, len(want))
		first, err := io.ReadFull(tty, got[:len(got)/3])
		if err == nil && cut {
			s.relay.Flush()
		}
		rest := 0
		if err == nil {
			rest, err = io.ReadFull(tty, got[first:])
		}
		if err != nil {
			return fmt.Errorf("%d of %d bytes came back: %w", first+rest, len(want), err)
		}
		wrong := 0
		for i := range want {
			if want[i] != got[i] {
				wrong++
			}
		}
		t.Exactly(what+": wrong ones", wrong, 0, fmt.Sprint("of ", len(want)), "")
		t.Info(what+": bytes a second", float64(len(want))/time.Since(began).Seconds(), "B/s")
		if !bytes.Equal(want, got) {
			t.Say("%s: the first wrong byte is one of %d", what, len(want))
		}
		return nil
	})
}
