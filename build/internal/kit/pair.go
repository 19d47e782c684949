package kit

import (
	"fmt"
	"os"
	"path/filepath"
)

// PtyPair makes a raw pseudo-terminal whose far end is read and written by the harness itself, and a link to its near end. The
// near end stays open until the Env ends.
func (e *Env) PtyPair(name string) (far *os.File, port string, err error) {
	far, near, err := openPty(false)
	if err != nil {
		return nil, "", err
	}
	port = filepath.Join(e.Dir, "tty-"+name)
	if err := os.Symlink(near.Name(), port); err != nil {
		_, _ = far.Close(), near.Close()
		return nil, "", fmt.Errorf("link to the pty: %w", err)
	}
	e.Defer(func() { _, _ = far.Close(), near.Close() })
	return far, port, nil
}
