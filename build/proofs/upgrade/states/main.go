// Command states records what a linkbeat leaves on the disk, and has another one go on with it. build/testdata/upgrade/README.md
// tells when that is to be done, and how.
//
//	states record <tree> <folder>              tells the stories to the linkbeat of a tree of sources, keeps them in the folder
//	states replay <tree> <folder> [<tree>]     has the linkbeat of a tree go on with them, and then that of another tree
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
	"github.com/linkbeat/linkbeat/build/proofs/upgrade"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "states:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) < 3 || len(args) > 4 {
		return errors.New("want: record <tree> <folder>, or replay <tree> <folder> [<tree>]")
	}
	if err := kit.Missing("mosquitto"); err != nil {
		return err
	}
	e, err := kit.NewEnv(ctx, 10*time.Minute, func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) })
	if err != nil {
		return err
	}
	defer e.Close()
	err = act(e, args[0], args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, e.Tails(20))
	}
	return err
}

func act(e *kit.Env, verb string, args []string) error {
	tree, folder := args[0], args[1]
	p, err := upgrade.Programs(e, tree)
	if err != nil {
		return err
	}
	switch verb {
	case "record":
		if p.Early, err = inAnotherBoot(e, p.Early); err != nil {
			return err
		}
		return upgrade.Record(e, p, commitOf(tree), filepath.Join(tree, "config", "testdata", "good"), folder)
	case "replay":
		o := upgrade.Options{From: folder, Program: p}
		if len(args) > 2 {
			other, err := upgrade.Programs(e, args[2])
			if err != nil {
				return err
			}
			o.Then = other.Argv[0]
		}
		t := kit.NewTable("upgrade")
		if err := upgrade.Run(e, o, t); err != nil {
			return err
		}
		if err := t.Print(os.Stdout); err != nil {
			return err
		}
		if n := len(t.Missed()); n > 0 {
			return fmt.Errorf("%d goals missed", n)
		}
		return nil
	}
	return fmt.Errorf("no verb %q", verb)
}

// inAnotherBoot has the kernel tell a program another boot id than it has, in a mount namespace of its own (root), so that no
// replay takes what is recorded for something of its own boot.
func inAnotherBoot(e *kit.Env, argv []string) ([]string, error) {
	if err := kit.Missing("root"); err != nil {
		return nil, err
	}
	file := filepath.Join(e.Dir, "boot_id")
	if err := os.WriteFile(file, []byte("11111111-2222-4333-8444-555555555555\n"), 0o644); err != nil {
		return nil, fmt.Errorf("boot id: %w", err)
	}
	script := `mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"`
	return append([]string{"unshare", "-m", "sh", "-c", script, file}, argv...), nil
}

func commitOf(tree string) string {
	out, err := exec.Command("git", "-C", tree, "describe", "--always", "--dirty").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
