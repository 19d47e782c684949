package kit

import (
	"context"
	"debug/elf"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Skewed is the variable of the environment that moves the wall clock of a program that BuildSkewed has built, in seconds from
// its start on. The kernel has no namespace for CLOCK_REALTIME, and moving the machine's clock is no neighbour's way.
const Skewed = "LINKBEAT_LAB_SKEW"

// Texts of package time that the skew is put into.
const (
	nowBefore = "	sec, nsec, mono := runtimeNow()\n	if mono == 0 {"
	nowAfter  = "	sec, nsec, mono := runtimeNow()\n	sec += labSkew\n	if mono == 0 {"
	skewDecl  = `

// labSkew moves every wall clock that this program reads.
var labSkew = func() (n int64) {
	s, _ := syscall.Getenv("` + Skewed + `")
	minus := len(s) > 0 && s[0] == '-'
	for i := 0; i < len(s); i++ {
		if s[i] >= '0' && s[i] <= '9' {
			n = n*10 + int64(s[i]-'0')
		}
	}
	if minus {
		return -n
	}
	return n
}()
`
)

// BuildSkewed compiles linkbeat with a standard library whose time.Now adds a variable; all else is the program as it is.
func BuildSkewed(ctx context.Context, out string) error {
	goroot, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("go env: %w", err)
	}
	src := filepath.Join(strings.TrimSpace(string(goroot)), "src", "time", "time.go")
	b, err := os.ReadFile(src)
	if err != nil {
		return fmt.Errorf("package time: %w", err)
	}
	if strings.Count(string(b), nowBefore) != 1 {
		return fmt.Errorf("%s has no time.Now as this laboratory knows it", src)
	}
	dir, err := os.MkdirTemp(filepath.Dir(out), "skew-")
	if err != nil {
		return fmt.Errorf("skew: %w", err)
	}
	changed := strings.Replace(string(b), nowBefore, nowAfter, 1) + skewDecl
	changed = strings.Replace(changed, "import (\n", "import (\n\t\"syscall\"\n", 1)
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{src: filepath.Join(dir, "time.go")}})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "time.go"), []byte(changed), 0o600)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600)
	}
	if err != nil {
		return fmt.Errorf("skew: %w", err)
	}
	root, err := Root()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", out, "./cmd/linkbeat")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if msg, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("an agent with a clock of its own: %w: %s", err, msg)
	}
	return nil
}

// Skew moves the wall clock of a running process of such a program, by so much from the machine's: a jump, as NTP or a person
// makes it.
func (p *Proc) Skew(program string, by time.Duration) error {
	f, err := elf.Open(program)
	if err != nil {
		return fmt.Errorf("skew of %s: %w", p.Name, err)
	}
	defer f.Close()
	symbols, err := f.Symbols()
	if err != nil {
		return fmt.Errorf("skew of %s: %w", p.Name, err)
	}
	for _, s := range symbols {
		if s.Name != "time.labSkew" {
			continue
		}
		memory, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", p.Pid()), os.O_RDWR, 0)
		if err != nil {
			return fmt.Errorf("skew of %s: %w", p.Name, err)
		}
		defer memory.Close()
		_, err = memory.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(int64(by.Seconds()))), int64(s.Value))
		return err
	}
	return fmt.Errorf("skew of %s: %s has no time.labSkew", p.Name, program)
}
