package bridge

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Holders fills in who has which port open, as far as /proc shows it to us: one look at every process.
func Holders(ports []PortInfo) {
	by := map[string]*PortInfo{}
	for i := range ports {
		by[ports[i].Path] = &ports[i]
	}
	openFiles(func(pid int, target string) bool {
		if p := by[target]; p != nil && p.InUse == "" {
			p.InUse = process(pid)
		}
		return true
	})
}

// holder says which process has the file open, such as "gpsd, pid 812"; empty when /proc does not show it to us.
func holder(path string) (who string) {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return ""
	}
	openFiles(func(pid int, to string) bool {
		if to == target {
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

// openFiles calls yield with each open file of each other process, until it returns false.
func openFiles(yield func(pid int, target string) bool) {
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
			if to, err := os.Readlink(filepath.Join(dir, fd.Name())); err == nil && !yield(pid, to) {
				return
			}
		}
	}
}
