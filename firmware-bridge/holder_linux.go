package bridge

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// holder says which process has the file open, such as "gpsd, pid 812"; empty when /proc does not show it to us.
func holder(path string) string {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return ""
	}
	pids, err := os.ReadDir("/proc")
	if err != nil {
		return ""
	}
	self := os.Getpid()
	for _, e := range pids {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == self || !hasOpen(pid, target) {
			continue
		}
		name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		return fmt.Sprintf("%s, pid %d", strings.TrimSpace(string(name)), pid)
	}
	return ""
}

func hasOpen(pid int, target string) bool {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	fds, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, fd := range fds {
		if to, err := os.Readlink(filepath.Join(dir, fd.Name())); err == nil && to == target {
			return true
		}
	}
	return false
}
