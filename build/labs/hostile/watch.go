package hostile

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// What the programs may have resident at their peak, in MiB, whatever a stranger does.
const (
	agentMost = 40.0
	ctlMost   = 64.0
)

// tooMuch is where a program that grows without end is taken down, in MiB: the machine is not ours alone.
const tooMuch = 600.0

// peak is VmHWM of a running process, in MiB; 0: it has ended.
func peak(pid int) float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for _, line := range strings.Split(string(b), "\n") {
		var kib int64
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kib); err == nil {
			return float64(kib) / 1024
		}
	}
	return 0
}

// watch follows a process' peak for a while, or until it ends, and returns the largest. One that grows beyond all bounds is
// killed.
func watch(e *kit.Env, p *kit.Proc, lasts time.Duration) (most float64) {
	for end := time.Now().Add(lasts); time.Now().Before(end) && p.Running() &&
		e.Ctx.Err() == nil; e.Sleep(20 * time.Millisecond) {
		if most = max(most, peak(p.Pid())); most > tooMuch {
			p.Kill()
		}
	}
	return most
}
