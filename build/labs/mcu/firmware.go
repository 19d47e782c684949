package mcu

import (
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

//go:embed firmware
var sources embed.FS

// The pure parts run on this machine too, see firmware/host.c.
const (
	onTheBoard = "start.c board.c frame.c modbus.c main.c"
	onTheHost  = "host.c frame.c modbus.c"
)

// compileBoard makes the image for the Cortex-M3.
func compileBoard(e *kit.Env) (string, error) {
	return compile(e, "firmware.elf", onTheBoard, "clang", "--target=arm-none-eabi", "-mcpu=cortex-m3", "-mfloat-abi=soft",
		"-ffreestanding", "-fno-builtin", "-nostdlib", "-Os", "-Wall", "-Wextra", "-Werror", "-fuse-ld=lld", "-Wl,-T,mps2.ld")
}

// compileHost makes the filter of the pure parts, with the sanitizers on.
func compileHost(e *kit.Env) (string, error) {
	return compile(e, "firmware-host", onTheHost, "gcc", "-O1", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined",
		"-fno-sanitize-recover=all")
}

func compile(e *kit.Env, name, files string, compiler ...string) (string, error) {
	dir, err := e.Sub(name)
	if err != nil {
		return "", err
	}
	if err := os.CopyFS(dir, sources); err != nil {
		return "", fmt.Errorf("firmware: %w", err)
	}
	out := filepath.Join(dir, name)
	args := append(append(compiler[1:], "-o", out), strings.Fields(files)...)
	cmd := exec.CommandContext(e.Ctx, compiler[0], args...)
	cmd.Dir = filepath.Join(dir, "firmware")
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("compile %s: %w: %s", name, err, text)
	}
	return out, nil
}
