// Command arch holds the architecture as data (rules.go), with tests that enforce it, and prints what there is of it:
// for each package files, lines, the largest types, functions and files, and the arrows between its files.
//
//	go run ./build/arch                     every package; exit status 1 where a limit is exceeded
//	go run ./build/arch -against HEAD~1     beside another commit
//	go run ./build/arch -floors transport   the files of one package in order, and which arrows run back
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

func main() {
	against := flag.String("against", "", "a commit to compare with, such as HEAD~1")
	floors := flag.String("floors", "", "a package, such as transport: print its files in order, and the arrows that run back")
	flag.Parse()
	if err := run(os.Stdout, *against, *floors); err != nil {
		fmt.Fprintln(os.Stderr, "arch:", err)
		os.Exit(1)
	}
}

func run(w io.Writer, against, floors string) error {
	root, err := kit.Root()
	if err != nil {
		return err
	}
	now, err := measure(root)
	if err != nil {
		return err
	}
	if floors != "" {
		return printFloors(w, now, floors)
	}
	var before []Room
	if against != "" {
		if before, err = measureCommit(root, against); err != nil {
			return err
		}
	}
	if err := printRooms(w, now, before); err != nil {
		return err
	}
	if err := save(filepath.Join(root, "dist", "results"), now, before); err != nil {
		return err
	}
	if found := Breaches(product(now), Exceptions()); len(found) > 0 {
		return errors.New(strings.Join(found, "\narch: "))
	}
	return nil
}

// product leaves the tools out.
func product(all []Room) []Room {
	var some []Room
	for _, r := range all {
		if !anyWithin(r.Package, Outside()) {
			some = append(some, r)
		}
	}
	return some
}

func measure(root string) ([]Room, error) {
	sources, err := Load(root)
	if err != nil {
		return nil, err
	}
	rooms := Rooms(sources)
	arrows, err := References(root)
	if err != nil {
		return nil, err
	}
	for i := range rooms {
		rooms[i].Arrows = arrows[rooms[i].Package]
	}
	return rooms, nil
}

// measureCommit measures the tree of a commit in a folder of its own, which is removed again.
func measureCommit(root, commit string) ([]Room, error) {
	dir, err := os.MkdirTemp("", "linkbeat-arch-")
	if err != nil {
		return nil, fmt.Errorf("a folder for %s: %w", commit, err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // in the system's folder for such
	if err := kit.Unpack(context.Background(), root, commit, dir); err != nil {
		return nil, err
	}
	return measure(dir)
}

func save(dir string, now, before []Room) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("results: %w", err)
	}
	b, err := json.MarshalIndent(map[string]any{"target": "arch", "now": now, "before": before}, "", "  ")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "arch.json"), append(b, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("results: %w", err)
	}
	return nil
}

func printRooms(w io.Writer, now, before []Room) error {
	fmt.Fprintln(w,
		"An arrow is a pair of files of a package of which the first uses something of the second; one runs back where it goes")
	fmt.Fprintln(w, "against the order of the files in which fewest do. ≤: the best order found, not proven. Tests are left out.")
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(tw, "package\tfiles\tlines\tmethods\tfields\tarrows\tback\tlongest function\tlongest file")
	for _, r := range product(before) {
		fmt.Fprintln(tw, "before: "+row(r))
	}
	for _, r := range product(now) {
		fmt.Fprintln(tw, row(r))
	}
	return tw.Flush()
}

func row(r Room) string {
	methods, fields := r.Largest()
	back := fmt.Sprint(r.Arrows.Back)
	if r.Arrows.Most {
		back = "≤ " + back
	}
	return fmt.Sprintf("%s\t%d\t%d\t%s\t%s\t%d\t%s\t%s\t%s", r.Package, r.Files, r.Lines, sized(methods.Methods, methods.Name),
		sized(fields.Fields, fields.Name), r.Arrows.All, back, sized(r.Function.Lines, r.Function.Name),
		sized(r.File.Lines, r.File.Name))
}

func sized(n int, name string) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprintf("%d %s", n, name)
}

func printFloors(w io.Writer, rooms []Room, name string) error {
	for _, r := range rooms {
		if r.Package != name {
			continue
		}
		fmt.Fprintf(w, "%s: %d arrows, %d back. Files, who uses above who is used:\n", name, r.Arrows.All, r.Arrows.Back)
		for _, f := range r.Arrows.Floors {
			fmt.Fprintln(w, "  "+f)
		}
		for _, a := range r.Arrows.Which {
			fmt.Fprintln(w, "back: "+a)
		}
		return nil
	}
	return fmt.Errorf("no package %q: name its folder, such as transport/heartbeat", name)
}
