package kit

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Target is a platform that linkbeat is shipped for.
type Target struct {
	Name string // as in dist/linkbeat-<Name>
	Env  []string
}

// Targets of `make cross`.
func Targets() []Target {
	return []Target{
		{"linux-armv5", []string{"GOOS=linux", "GOARCH=arm", "GOARM=5"}},
		{"linux-armv6", []string{"GOOS=linux", "GOARCH=arm", "GOARM=6"}},
		{"linux-armv7", []string{"GOOS=linux", "GOARCH=arm", "GOARM=7"}},
		{"linux-arm64", []string{"GOOS=linux", "GOARCH=arm64"}},
		{"linux-mipsle", []string{"GOOS=linux", "GOARCH=mipsle", "GOMIPS=softfloat"}},
		{"linux-riscv64", []string{"GOOS=linux", "GOARCH=riscv64"}},
		{"linux-amd64", []string{"GOOS=linux", "GOARCH=amd64"}},
	}
}

// FindTarget returns the target of that name.
func FindTarget(name string) (Target, error) {
	for _, t := range Targets() {
		if t.Name == name {
			return t, nil
		}
	}
	return Target{}, fmt.Errorf("no target %q: see build/internal/kit/build.go for the list", name)
}

// Root finds the folder of go.mod, from the working directory upwards.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("working directory: %w", err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no go.mod above the working directory: run this inside the repository")
		}
	}
}

// LDFlags strip the binary and put version, commit and build time into main. They come from git, so that the same commit gives
// the same bytes; VERSION, COMMIT and SOURCE_DATE (RFC 3339) override them, and without git it is "dev", no commit, and now.
func LDFlags(root string) string {
	version := firstOf(os.Getenv("VERSION"), git(root, "describe", "--tags", "--always", "--dirty"), "dev")
	date := firstOf(os.Getenv("SOURCE_DATE"), git(root, "log", "-1", "--format=%cI"), time.Now().Format(time.RFC3339))
	if t, err := time.Parse(time.RFC3339, date); err == nil {
		date = t.UTC().Format(time.RFC3339)
	}
	commit := firstOf(os.Getenv("COMMIT"), git(root, "rev-parse", "--short=12", "HEAD"))
	return fmt.Sprintf("-s -w -X main.version=%s -X main.commit=%s -X main.buildTime=%s", version, commit, date)
}

func firstOf(s ...string) string {
	for _, v := range s {
		if v != "" {
			return v
		}
	}
	return ""
}

func git(root string, args ...string) string {
	out, err := exec.Command("git", append([]string{"-C", root}, args...)...).Output()
	if err != nil {
		return "" // no git, or no commit yet
	}
	return strings.TrimSpace(string(out))
}

// Tags leave out of the standard library what no gateway needs: HTTP/2 is 256 KiB.
const Tags = "nethttpomithttp2"

// hot packages see every byte or every wake-up. All others are compiled without inlining: they are smaller by a tenth then, and
// what runs at the start, for a person at a shell, or once for each connection makes nobody wait.
func hot() []string {
	const fips = "crypto/internal/fips140/" // of it ciphers, hashes, and the arithmetic that a handshake waits for longest
	return []string{"runtime/...", "internal/...", fips + "aes/...", fips + "sha256", fips + "sha512", fips + "subtle",
		fips + "bigmod", fips + "nistec/fiat", fips + "edwards25519/...", "crypto/internal/fips140deps/...",
		"vendor/golang.org/x/crypto/...", "sync/...", "bytes", "bufio", "encoding/binary", "hash/...", "math/bits",
		"unicode/utf8", module + "/firmware-bridge/framing", module + "/agent/spool"}
}

const module = "github.com/linkbeat/linkbeat"

// Build compiles one program (its folder from the root, as cmd/linkbeat) statically to the file out; env chooses the
// platform.
func Build(ctx context.Context, folder, out string, env ...string) error {
	root, err := Root()
	if err != nil {
		return err
	}
	return Tree{Root: root}.Build(ctx, folder, out, env...)
}

// Tree is a copy of the sources, of this commit or of another one.
type Tree struct {
	Root    string
	Built   time.Time // what the program takes for the time of its build; if zero, the commit's
	Symbols bool      // leave the symbol table in, but not what a debugger needs
}

// Build is [Build] in that tree.
func (t Tree) Build(ctx context.Context, folder, out string, env ...string) error {
	flags := LDFlags(t.Root)
	if !t.Built.IsZero() {
		flags += " -X main.buildTime=" + t.Built.UTC().Format(time.RFC3339) // the last one counts
	}
	if t.Symbols {
		flags = strings.TrimPrefix(flags, "-s ")
	}
	args, cgo := []string{"build", "-trimpath", "-tags", Tags, "-ldflags", flags, "-o", out}, "CGO_ENABLED=0"
	args = append(args, "-gcflags=all=-l")
	for _, packages := range hot() {
		args = append(args, "-gcflags="+packages+"=")
	}
	if os.Getenv("RACE_LINKBEAT") != "" && len(env) == 0 { // `make race`: the agent itself under the race detector
		args, cgo = append(args, "-race"), "CGO_ENABLED=1"
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "./"+folder)...)
	cmd.Dir = t.Root
	cmd.Env = append(append(os.Environ(), cgo), env...)
	if msg, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s (%s): %w\n%s", folder, strings.Join(env, " "), err, msg)
	}
	return nil
}
