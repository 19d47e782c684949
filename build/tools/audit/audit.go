// Package audit looks at what the programs and their tests are made of besides our own code: versions, the newest that are
// served, licences, and known vulnerabilities, by govulncheck.
package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// Module is one that code of ours is linked with, or tested with.
type Module struct {
	Path, Version, Newest, Dir, Licence string
	Where                               string // the program that carries it, the agent before the others
}

// Run prints a row for each module, and what is wrong with any. A goal is missed only by a licence that is not permissive, and
// by a known vulnerability in code that is called.
func Run(e *kit.Env, t *kit.Table) error {
	root, err := kit.Root()
	if err != nil {
		return err
	}
	all, err := Modules(e, root)
	if err != nil {
		return err
	}
	sayModules(all, t)
	old, strict := []string{}, []string{}
	for _, m := range all {
		if m.Newest != m.Version {
			old = append(old, m.Path+" "+m.Version+", newest "+m.Newest)
		}
		switch {
		case Permissive(m.Licence):
		case m.Where == tests:
			t.Say("%s is %s: with the tests only, which nobody is given as a program.", m.Path, m.Licence)
		default:
			strict = append(strict, m.Path+": "+m.Licence)
		}
	}
	t.Info("modules", float64(len(all)), "")
	t.Info("modules that are not at their newest", float64(len(old)), "")
	for _, o := range old {
		t.Say("not at its newest: %s", o)
	}
	t.Exactly("modules in the programs with a licence that is not permissive", len(strict), 0, "", strings.Join(strict, "\n"))
	sayGo(e, root, t)
	return vulnerabilities(e, root, t)
}

func sayModules(all []Module, t *kit.Table) {
	var text bytes.Buffer
	w := tabwriter.NewWriter(&text, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "module\tversion\tnewest\tlicence\tin")
	for _, m := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", m.Path, m.Version, m.Newest, m.Licence, m.Where)
	}
	_ = w.Flush() // into memory
	for _, line := range strings.Split(strings.TrimSpace(text.String()), "\n") {
		t.Say("%s", line)
	}
}

// programs in the order in which a module is counted to one: the agent's are the gateway's.
func programs() [][]string {
	return [][]string{{"linkbeat", "./cmd/linkbeat"}, {"linkbeatctl", "./cmd/linkbeatctl"}, {tests, "-test", "./..."}}
}

// tests is where a module is that no program carries.
const tests = "tests"

// Modules lists them by path.
func Modules(e *kit.Env, root string) (all []Module, err error) {
	for _, p := range programs() {
		out, err := output(e, root, append([]string{"go", "list", "-deps", "-f", "{{with .Module}}{{.Path}} {{.Version}}{{end}}"},
			p[1:]...)...)
		if err != nil {
			return nil, err
		}
		for _, line := range strings.Split(out, "\n") {
			f := strings.Fields(line)
			if len(f) == 2 && !slices.ContainsFunc(all, func(m Module) bool { return m.Path == f[0] }) {
				all = append(all, Module{Path: f[0], Version: f[1], Where: p[0]})
			}
		}
	}
	for i := range all {
		m := &all[i]
		out, err := output(e, root, "go", "list", "-m", "-u", "-json", m.Path)
		if err != nil {
			return nil, err
		}
		var about struct {
			Dir    string
			Update struct{ Version string }
		}
		if err := json.Unmarshal([]byte(out), &about); err != nil {
			return nil, fmt.Errorf("module %s: %w", m.Path, err)
		}
		m.Dir, m.Newest = about.Dir, about.Update.Version
		if m.Newest == "" {
			m.Newest = m.Version
		}
		m.Licence = Licence(m.Dir)
	}
	slices.SortFunc(all, func(a, b Module) int { return strings.Compare(a.Path, b.Path) })
	return all, nil
}

// sayGo tells which Go there is, and which patches of it are listed.
func sayGo(e *kit.Env, root string, t *kit.Table) {
	mod, _ := output(e, root, "go", "mod", "edit", "-json")
	var about struct{ Go string }
	_ = json.Unmarshal([]byte(mod), &about)
	have, _ := output(e, root, "go", "env", "GOVERSION")
	listed, err := output(e, root, "go", "list", "-m", "-versions", "go")
	newest := ""
	minor := about.Go[:max(0, strings.LastIndex(about.Go, "."))] + "."
	for _, v := range strings.Fields(listed) {
		if strings.HasPrefix(v, minor) {
			newest = v
		}
	}
	if err != nil {
		newest = "unknown: " + err.Error()
	}
	t.Say("Go: go.mod asks for %s, this machine has %s; the newest patch of it that is listed is %s.", about.Go,
		strings.TrimSpace(have), newest)
}

// output runs a program in the tree and returns what it printed.
func output(e *kit.Env, root string, argv ...string) (string, error) {
	cmd := exec.CommandContext(e.Ctx, argv[0], argv[1:]...)
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("%s: %w: %.400s", strings.Join(argv, " "), err, stderr.String())
	}
	return string(out), nil
}

// Versions of the tool, and of the copy of its database that the module proxy serves.
const (
	scanner  = "golang.org/x/vuln/cmd/govulncheck@v1.9.0"
	database = "golang.org/x/vulndb"
	home     = "https://vuln.go.dev"
)

// vulnerabilities asks govulncheck, with the database at its home, or else with the copy of it that is a Go module.
func vulnerabilities(e *kit.Env, root string, t *kit.Table) error {
	args := []string{"go", "run", scanner}
	if why := away(e); why != nil {
		t.Say("%s cannot be reached: %v.", home, why)
		dir, version, err := copied(e, root)
		if err != nil {
			t.Say("The module proxy has no copy of the database either: %v. Known vulnerabilities were not looked for.", err)
			return nil
		}
		t.Say("Known vulnerabilities are those of %s %s, which the module proxy serves.", database, version)
		args = append(args, "-db", "file://"+dir)
	}
	args = append(args, "-tags", kit.Tags, "./cmd/...")
	cmd := exec.CommandContext(e.Ctx, args[0], args[1:]...)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	text := strings.TrimSpace(string(out))
	var exit *exec.ExitError
	switch {
	case err == nil:
		t.Exactly("known vulnerabilities in code that is called", 0, 0, "", "")
		for _, line := range strings.Split(text, "\n") {
			t.Say("govulncheck: %s", line)
		}
	case errors.As(err, &exit) && strings.Contains(text, "Your code is affected by"):
		t.Exactly("known vulnerabilities in code that is called", strings.Count(text, "Vulnerability #"), 0, "", text)
	default:
		return fmt.Errorf("govulncheck: %w: %s", err, text)
	}
	return nil
}

// away says why the database's home cannot be reached.
func away(e *kit.Env) error {
	conn, err := kit.Dialer("")(e.Ctx, "tcp", strings.TrimPrefix(home, "https://")+":443")
	if err != nil {
		return err
	}
	return conn.Close()
}

// copied fetches the database as a module and writes it in the form that govulncheck reads.
func copied(e *kit.Env, root string) (dir, version string, err error) {
	out, err := output(e, root, "go", "mod", "download", "-json", database+"@latest")
	if err != nil {
		return "", "", err
	}
	var at struct{ Dir, Version string }
	if err := json.Unmarshal([]byte(out), &at); err != nil {
		return "", "", fmt.Errorf("%s: %w", database, err)
	}
	if dir, err = e.Sub("vulndb"); err != nil {
		return "", "", err
	}
	return dir, at.Version, Index(filepath.Join(at.Dir, "data", "osv"), dir)
}

// entry is what the index needs of a report (https://ossf.github.io/osv-schema).
type entry struct {
	ID       string `json:"id"`
	Modified string `json:"modified"`
	Affected []struct {
		Package struct {
			Name string `json:"name"`
		} `json:"package"`
	} `json:"affected"`
}

// Index makes a database (https://go.dev/doc/security/vuln/database#api) of a folder of reports.
func Index(reports, into string) error {
	files, err := filepath.Glob(filepath.Join(reports, "GO-*.json"))
	if err == nil && len(files) == 0 {
		err = errors.New("no report in " + reports)
	}
	if err != nil {
		return err
	}
	type vuln struct {
		ID       string `json:"id"`
		Modified string `json:"modified"`
	}
	type module struct {
		Path  string `json:"path"`
		Vulns []vuln `json:"vulns"`
	}
	byPath, newest := map[string]*module{}, ""
	for _, sub := range []string{"index", "ID"} {
		if err := os.MkdirAll(filepath.Join(into, sub), 0o755); err != nil {
			return err
		}
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		var x entry
		if err := json.Unmarshal(b, &x); err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(f), err)
		}
		for _, a := range x.Affected {
			m := byPath[a.Package.Name]
			if m == nil {
				m = &module{Path: a.Package.Name}
				byPath[m.Path] = m
			}
			if !slices.Contains(m.Vulns, vuln{x.ID, x.Modified}) {
				m.Vulns = append(m.Vulns, vuln{x.ID, x.Modified})
			}
		}
		newest = max(newest, x.Modified)
		if err := os.WriteFile(filepath.Join(into, "ID", x.ID+".json"), b, 0o644); err != nil {
			return err
		}
	}
	list := []*module{}
	for _, m := range byPath {
		list = append(list, m)
	}
	slices.SortFunc(list, func(a, b *module) int { return strings.Compare(a.Path, b.Path) })
	return errors.Join(write(filepath.Join(into, "index", "modules.json"), list),
		write(filepath.Join(into, "index", "db.json"), map[string]string{"modified": newest}))
}

func write(path string, v any) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(json.NewEncoder(f).Encode(v), f.Close())
}

// Licence names the licence in a module's folder, by the words that each has; "unknown" when it has none that is known here.
func Licence(dir string) string {
	files, _ := filepath.Glob(filepath.Join(dir, "[LlCc][IiOo][CcPp]*"))
	var text strings.Builder
	for _, f := range files {
		if b, err := readSome(f); err == nil {
			text.Write(b)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "edl-v10")); err == nil { // paho: dual, and we take the second
		return "EPL-2.0 or BSD-3-Clause (EDL-1.0)"
	}
	s := strings.Join(strings.Fields(text.String()), " ")
	has := func(words string) bool { return strings.Contains(s, words) }
	var names []string
	for _, l := range []struct {
		name string
		is   bool
	}{
		{"GPL", has("GNU GENERAL PUBLIC LICENSE") || has("GNU AFFERO")}, {"LGPL", has("GNU LESSER")},
		{"EPL", has("Eclipse Public License")}, {"MPL-2.0", has("Mozilla Public License")},
		{"Apache-2.0", has("Apache License") || has("www.apache.org/licenses/LICENSE-2.0")},
		{"MIT", has("Permission is hereby granted, free of charge")},
		{"BSD-3-Clause", has("Redistribution and use in source and binary forms") && (has("Neither the name") ||
			has("names of its"))},
		{"BSD-2-Clause", has("Redistribution and use in source and binary forms") && !has("Neither the name") &&
			!has("names of its")},
		{"ISC", has("Permission to use, copy, modify, and/or distribute this software")},
	} {
		if l.is {
			names = append(names, l.name)
		}
	}
	if len(names) == 0 {
		return "unknown"
	}
	return strings.Join(names, " and ")
}

func readSome(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, 1<<20))
}

// Permissive reports whether a licence lets a program be given away without its sources.
func Permissive(licence string) bool {
	if strings.HasPrefix(licence, "EPL-2.0 or ") {
		return true
	}
	for _, l := range strings.Split(licence, " and ") {
		if !slices.Contains([]string{"MIT", "BSD-3-Clause", "BSD-2-Clause", "Apache-2.0", "ISC"}, l) {
			return false
		}
	}
	return true
}
