package console

import (
	"os"
	"sync"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// wire is a serial line between two pseudo-terminals: the gateway's port, and that of the device, which a program of its own may
// open. It carries bytes at the pace of a line.
type wire struct {
	port   string   // what the gateway opens
	device string   // what a program opens that plays the device
	near   *os.File // the far end of port
	far    *os.File // the far end of device
	rate   int      // bytes a second; 10 bits each

	mu   sync.Mutex
	echo bool // the device answers each byte by itself, at once
}

func newWire(e *kit.Env, bits int) (*wire, error) {
	w := &wire{rate: bits / 10, echo: true}
	var err error
	if w.near, w.port, err = e.PtyPair("gateway"); err != nil {
		return nil, err
	}
	if w.far, w.device, err = e.PtyPair("device"); err != nil {
		return nil, err
	}
	go w.carry(w.near, func(p []byte) { w.toDevice(p) })
	go w.carry(w.far, func(p []byte) { _, _ = w.near.Write(p) })
	return w, nil
}

// carry ends when the pair is closed with the Env.
func (w *wire) carry(from *os.File, to func([]byte)) {
	buf := make([]byte, 256)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		time.Sleep(time.Duration(n) * time.Second / time.Duration(w.rate))
		to(buf[:n])
	}
}

func (w *wire) toDevice(p []byte) {
	w.mu.Lock()
	echo := w.echo
	w.mu.Unlock()
	if echo {
		_, _ = w.near.Write(p)
		return
	}
	_, _ = w.far.Write(p)
}

// play chooses who plays the device: an echo, or a program at w.device.
func (w *wire) play(echo bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.echo = echo
}
