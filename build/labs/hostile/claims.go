package hostile

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// Headings of SECURITY.md between which every item of a list is a claim.
const (
	claimsFrom = "## What is protected"
	claimsTo   = "## What is not"
)

// shownBy is how a claim names what shows it: `folder: TestName`, or `lab-hostile: part`.
var shownBy = regexp.MustCompile("`(?:(lab-hostile): ([a-z-]+)|([a-z0-9/-]+): (Test[A-Za-z0-9_]+))`")

// claims looks for the test behind each claim.
func (l lab) claims() error {
	root, err := kit.Root()
	if err != nil {
		return err
	}
	b, err := os.ReadFile(filepath.Join(root, "SECURITY.md"))
	if err != nil {
		return err
	}
	all, err := readClaims(string(b))
	if err != nil {
		return err
	}
	var without []string
	for _, c := range all {
		if why := unshown(root, c); why != "" {
			without = append(without, why)
		}
	}
	l.t.AtLeast("SECURITY.md: claims", float64(len(all)), 10, "")
	l.t.Exactly("SECURITY.md: claims without a test", len(without), 0, "", strings.Join(without, "\n"))
	return nil
}

// readClaims returns the items of the lists between the two headings, each as one line.
func readClaims(doc string) (all []string, err error) {
	_, doc, from := strings.Cut(doc, claimsFrom)
	doc, _, to := strings.Cut(doc, "\n"+claimsTo)
	if !from || !to {
		return nil, fmt.Errorf("SECURITY.md has no %q with %q behind it", claimsFrom, claimsTo)
	}
	for _, line := range strings.Split(doc, "\n") {
		switch {
		case strings.HasPrefix(line, "- "):
			all = append(all, line[2:])
		case strings.HasPrefix(line, "  ") && len(all) > 0:
			all[len(all)-1] += " " + strings.TrimSpace(line)
		}
	}
	return all, nil
}

// unshown says what is wrong with a claim; empty: all that it names is there.
func unshown(root, claim string) string {
	short := claim[:min(len(claim), 60)]
	named := shownBy.FindAllStringSubmatch(claim, -1)
	if len(named) == 0 {
		return short + "…: names no test"
	}
	for _, m := range named {
		if m[1] != "" {
			if !slices.ContainsFunc(parts(), func(p part) bool { return p.name == m[2] }) {
				return short + "…: no part " + m[2] + " of the laboratory"
			}
			continue
		}
		files, _ := filepath.Glob(filepath.Join(root, m[3], "*_test.go"))
		found := slices.ContainsFunc(files, func(f string) bool {
			b, err := os.ReadFile(f)
			return err == nil && strings.Contains(string(b), "\nfunc "+m[4]+"(")
		})
		if !found {
			return fmt.Sprintf("%s…: no %s in %s", short, m[4], m[3])
		}
	}
	return ""
}
