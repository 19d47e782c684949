package supervise

import (
	"net"
	"os"
	"strconv"
	"testing"
	"time"
)

func TestSdNotifySendsOneDatagram(t *testing.T) {
	path := t.TempDir() + "/notify"
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	if err := Notify("READY=1"); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 64)
	n, err := l.Read(p)
	if err != nil || string(p[:n]) != "READY=1" {
		t.Fatalf("%q, %v", p[:n], err)
	}
	t.Setenv("NOTIFY_SOCKET", path+"-gone")
	if err := Notify("READY=1"); err == nil {
		t.Fatal("a service manager that is gone was not said")
	}
	t.Setenv("NOTIFY_SOCKET", "")
	if err := Notify("READY=1"); err != nil {
		t.Fatalf("without a service manager: %v", err)
	}
}

func TestWatchdogInterval(t *testing.T) {
	for name, c := range map[string]struct {
		usec, pid string
		want      time.Duration
	}{
		"half of what is asked": {"30000000", "", 15 * time.Second},
		"for us":                {"30000000", strconv.Itoa(os.Getpid()), 15 * time.Second},
		"for our parent":        {"30000000", "1", 0},
		"none":                  {"", "", 0},
		"nonsense":              {"soon", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("WATCHDOG_USEC", c.usec)
			t.Setenv("WATCHDOG_PID", c.pid)
			if got := WatchdogInterval(); got != c.want {
				t.Fatalf("%s, want %s", got, c.want)
			}
		})
	}
}
