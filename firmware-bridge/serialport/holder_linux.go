package serialport

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// device says which device a file is, whatever its name: a process in a container has names of its own.
type device struct {
	number uint64
	fs     uint64 // of a pseudo-terminal, as each mount begins with its numbers again; else 0
}

// deviceOf is the device at a path; false: it is none.
func deviceOf(path string) (device, bool) {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFCHR {
		return device{}, false
	}
	d := device{number: uint64(st.Rdev)}
	if isPTY(&st) {
		d.fs = uint64(st.Dev)
	}
	return d, true
}

// Holders says for each path which process has that device open, such as "gpsd, pid 812", as far as /proc shows it to us: one
// look at every process. Empty: none.
func Holders(paths []string) []string {
	by, who := map[device]int{}, make([]string, len(paths))
	for i, path := range paths {
		if d, ok := deviceOf(path); ok {
			by[d] = i
		}
	}
	openDevices(func(pid int, d device) bool {
		if i, ok := by[d]; ok && who[i] == "" {
			who[i] = process(pid)
		}
		return true
	})
	return who
}

// holder says which process has the device open, such as "gpsd, pid 812"; empty when /proc does not show it to us.
func holder(path string) (who string) {
	port, ok := deviceOf(path)
	if !ok {
		return ""
	}
	openDevices(func(pid int, d device) bool {
		if d == port {
			who = process(pid)
		}
		return who == ""
	})
	return who
}

func process(pid int) string {
	name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return fmt.Sprintf("%s, pid %d", strings.TrimSpace(string(name)), pid)
}

// openDevices calls yield with each open device of each other process, until it returns false.
func openDevices(yield func(pid int, d device) bool) {
	pids, err := os.ReadDir("/proc")
	if err != nil {
		return
	}
	self := os.Getpid()
	for _, e := range pids {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == self {
			continue
		}
		dir := fmt.Sprintf("/proc/%d/fd", pid)
		fds, _ := os.ReadDir(dir) // of another user: not shown
		for _, fd := range fds {
			link := filepath.Join(dir, fd.Name())
			if to, err := os.Readlink(link); err != nil || !strings.HasPrefix(to, "/dev/") { // to stat any file may take long
				continue
			}
			if d, ok := deviceOf(link); ok && !yield(pid, d) {
				return
			}
		}
	}
}
