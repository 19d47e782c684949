// Command show runs the proofs of linkbeat: each prints a table of figures and goals, writes dist/results/<target>.json
// and exits 1 when a goal was missed. `make <target>` calls it; build/README.md tells how to read the tables. `show missing` is
// for build/setup.sh.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "show:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) > 0 && args[0] == "missing":
		return missing(args[1:])
	case len(args) != 1:
		return errors.New("want one target, one of those that `make` prints")
	}
	t, err := find(args[0])
	if err != nil {
		return err
	}
	return prove(ctx, t)
}

func find(name string) (target, error) {
	for _, t := range targets() {
		if t.name == name {
			return t, nil
		}
	}
	return target{}, fmt.Errorf("no target %q: `make` prints them", name)
}

// missing prints, for build/setup.sh, the Debian packages that this machine lacks for a target, or for `make test` when none is
// given.
func missing(args []string) error {
	names := kit.TestTools()
	if len(args) > 0 {
		t, err := find(args[0])
		if err != nil {
			return err
		}
		names = t.needs
	}
	packages, err := kit.ToInstall(names)
	if err == nil && len(packages) > 0 {
		_, err = fmt.Println(strings.Join(packages, " "))
	}
	return err
}

// prove runs one target, prints and saves its table. What was started is taken down before it returns, however it ends.
func prove(ctx context.Context, t target) error {
	if err := kit.Missing(t.needs...); err != nil {
		return err
	}
	if t.quiet {
		if err := goFirst(); err != nil {
			fmt.Fprintf(os.Stderr, "show: %v; going on, on a quiet machine it makes no difference\n", err)
		}
	}
	root, err := kit.Root()
	if err != nil {
		return err
	}
	start := time.Now()
	e, err := kit.NewEnv(ctx, t.limit, func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, "%7.1fs %s\n", time.Since(start).Seconds(), fmt.Sprintf(format, args...))
	})
	if err != nil {
		return err
	}
	defer e.Close()
	table := kit.NewTable(t.name)
	runErr := t.run(e, table)
	if err := table.Print(os.Stdout); err != nil {
		return err
	}
	if err := table.Save(filepath.Join(root, "dist", "results")); err != nil {
		return err
	}
	missed := len(table.Missed())
	if runErr != nil || missed > 0 {
		fmt.Fprintln(os.Stderr, e.Tails(15))
	}
	if runErr != nil {
		return fmt.Errorf("%s: %w", t.name, runErr)
	}
	if missed > 0 {
		return fmt.Errorf("%s: %d goals missed", t.name, missed)
	}
	return nil
}
