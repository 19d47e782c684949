package upgrade

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// The files of a recorded document, beside <name>.yaml.
const (
	effectiveSuffix = ".effective.yaml" // what `linkbeat check -v` made of it
	saidSuffix      = ".said"           // and what it had to say
)

// documents are the recorded ones, by path.
func documents(dir string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	files = slices.DeleteFunc(files, func(f string) bool { return strings.HasSuffix(f, effectiveSuffix) })
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("no documents in %s", dir)
	}
	return files, err
}

// variables are the environment of config/testdata.
func variables() []string {
	return []string{"SITE=north-7", "UPLINK_PASSWORD=correct horse", "BAUD=19200", "EMPTY="}
}

// check has a linkbeat check a document. The files below /etc that it names are made elsewhere, for it wants to read them.
func check(e *kit.Env, argv []string, document string) (effective, said []byte, err error) {
	dir, err := e.Sub("document")
	if err != nil {
		return nil, nil, err
	}
	src, err := os.ReadFile(document)
	if err != nil {
		return nil, nil, fmt.Errorf("document: %w", err)
	}
	for _, name := range regexp.MustCompile(`/etc/[\w./-]+`).FindAll(src, -1) {
		path := filepath.Join(dir, string(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("secret\n"), 0o600)); err != nil {
			return nil, nil, fmt.Errorf("document: %w", err)
		}
	}
	file := filepath.Join(dir, filepath.Base(document))
	if err := os.WriteFile(file, bytes.ReplaceAll(src, []byte("/etc/"), []byte(dir+"/etc/")), 0o600); err != nil {
		return nil, nil, fmt.Errorf("document: %w", err)
	}
	var out, complaints bytes.Buffer
	cmd := exec.CommandContext(e.Ctx, argv[0], append(argv[1:len(argv):len(argv)], "check", "-v", "-c", file)...)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(variables(), "PATH="+os.Getenv("PATH")), &out, &complaints
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		return nil, nil, fmt.Errorf("check: %w", errors.Join(err, context.Cause(e.Ctx)))
	}
	back := func(p []byte) []byte {
		return bytes.ReplaceAll(bytes.ReplaceAll(p, []byte(dir+"/etc/"), []byte("/etc/")), []byte(dir+"/"), nil)
	}
	return back(out.Bytes()), back(complaints.Bytes()), nil
}

// judgeDocuments has a linkbeat check every recorded document.
func judgeDocuments(e *kit.Env, argv []string, dir string, t *kit.Table) error {
	files, err := documents(dir)
	if err != nil {
		return err
	}
	refused, changed, added, said, note := 0, 0, 0, 0, ""
	for _, file := range files {
		base := strings.TrimSuffix(file, ".yaml")
		was, err := os.ReadFile(base + effectiveSuffix)
		if err != nil {
			return fmt.Errorf("recorded document: %w", err)
		}
		complaints, err := os.ReadFile(base + saidSuffix)
		if err != nil {
			return fmt.Errorf("recorded document: %w", err)
		}
		is, now, err := check(e, argv, file)
		if err != nil {
			return err
		}
		if len(is) == 0 {
			refused++
			note = fmt.Sprintf("%s: %s", filepath.Base(file), now)
			continue
		}
		for place, line := range newSaid(complaints, now) {
			said++
			note = place + ": " + line
		}
		less, more, err := leavesBeside(was, is)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if changed += len(less); len(less) > 0 {
			note = fmt.Sprintf("%s: %s", filepath.Base(file), strings.Join(less, "; "))
		}
		added += len(more)
	}
	t.AtLeast("good documents", float64(len(files)), 11, "")
	t.Exactly("good documents: refused", refused, 0, "", note)
	t.Exactly("good documents: new warnings", said, 0, "", note)
	t.Exactly("good documents: values of the effective form that changed or are gone", changed, 0, "", note)
	t.Info("good documents: keys added since", float64(added), "")
	return nil
}

// newSaid are the complaints of is, by what they are about, that was has not. Words may get better: what counts is that no line
// or key of a document is complained of that was fine, and none twice that was once.
func newSaid(was, is []byte) map[string]string {
	known := map[string]int{}
	for line := range strings.Lines(string(was)) {
		known[about(line)]++
	}
	more := map[string]string{}
	for line := range strings.Lines(string(is)) {
		if strings.Contains(line, "username: is not device.id") {
			continue // later versions say it, and nothing changes by it
		}
		if known[about(line)]--; known[about(line)] < 0 {
			more[about(line)] = strings.TrimSpace(line)
		}
	}
	return more
}

// about is the beginning of a complaint: file, kind, line and key; all of it where it names no key.
func about(complaint string) string {
	if m := regexp.MustCompile(`^\S+: \w+: line \d+: [\w.\[\]-]+:`).FindString(complaint); m != "" {
		return m
	}
	return strings.TrimSpace(complaint)
}

// leavesBeside are the values of was that is has not, and the paths that only is has.
func leavesBeside(was, is []byte) (less, more []string, err error) {
	before, err := leaves(was)
	if err != nil {
		return nil, nil, err
	}
	after, err := leaves(is)
	if err != nil {
		return nil, nil, err
	}
	for _, path := range slices.Sorted(maps.Keys(before)) {
		if v, ok := after[path]; !ok || v != before[path] {
			less = append(less, fmt.Sprintf("%s was %s and is %s", path, before[path], v))
		}
	}
	for path := range after {
		if _, ok := before[path]; !ok {
			more = append(more, path)
		}
	}
	return less, more, nil
}

// leaves are the values of a YAML document by path.
func leaves(p []byte) (map[string]string, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(p, &root); err != nil {
		return nil, fmt.Errorf("effective form: %w", err)
	}
	all := map[string]string{}
	var walk func(path string, n *yaml.Node)
	walk = func(path string, n *yaml.Node) {
		switch n.Kind {
		case yaml.DocumentNode:
			walk(path, n.Content[0])
		case yaml.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				walk(path+"."+n.Content[i].Value, n.Content[i+1])
			}
		case yaml.SequenceNode:
			for i, c := range n.Content {
				walk(fmt.Sprintf("%s[%d]", path, i), c)
			}
		default:
			all[path] = n.Tag + " " + n.Value
		}
	}
	walk("", &root)
	return all, nil
}

// recordDocuments checks the documents of from with a linkbeat, and keeps them and what it says in out.
func recordDocuments(e *kit.Env, argv []string, from, out string) error {
	files, err := documents(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return fmt.Errorf("documents: %w", err)
	}
	for _, file := range files {
		effective, said, err := check(e, argv, file)
		if err != nil {
			return err
		}
		src, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("document: %w", err)
		}
		base := filepath.Join(out, strings.TrimSuffix(filepath.Base(file), ".yaml"))
		if err := errors.Join(os.WriteFile(base+".yaml", src, 0o644), os.WriteFile(base+effectiveSuffix, effective, 0o644),
			os.WriteFile(base+saidSuffix, said, 0o644)); err != nil {
			return fmt.Errorf("documents: %w", err)
		}
	}
	return nil
}
