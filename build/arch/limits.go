package main

import (
	"fmt"
	"strings"
)

// Uneasy are our limits in lines: above the first a file or function is listed, above the second it fails.
const (
	fileListed, fileMax = 300, 400
	funcListed, funcMax = 50, 70
)

// What one room may hold before it is two: lines of a struct, methods of a type, source files of a package.
const (
	structMax  = 40
	methodsMax = 30
	filesMax   = 25
)

// Measure is what a limit counts.
type Measure string

// The measures of a Limit.
const (
	StructLines Measure = "lines of a struct"
	Methods     Measure = "methods of a type"
	Files       Measure = "source files of a package"
)

// Most returns the general limit of a measure.
func (m Measure) Most() int {
	switch m {
	case StructLines:
		return structMax
	case Methods:
		return methodsMax
	case Files:
		return filesMax
	default:
		return 0
	}
}

// Exception lets one package or type exceed a general limit. Most is what it has today, so that it may shrink and never
// grow; one that is no longer needed fails the test.
type Exception struct {
	Measure Measure
	Of      string // "config" for a package, "config.Document" for a type
	Most    int
	Why     string
}

// excess is one figure above its limit.
type excess struct {
	measure Measure
	of      string
	is      int
}

// Breaches compares what was measured with the limits and their exceptions, and returns a sentence for each breach.
func Breaches(rooms []Room, exceptions []Exception) []string {
	allowed := map[Measure]map[string]Exception{}
	for _, x := range exceptions {
		if allowed[x.Measure] == nil {
			allowed[x.Measure] = map[string]Exception{}
		}
		allowed[x.Measure][x.Of] = x
	}
	var found []string
	used := map[Exception]bool{}
	for _, e := range excesses(rooms) {
		x, ok := allowed[e.measure][e.of]
		used[x] = ok
		switch {
		case !ok:
			found = append(found,
				fmt.Sprintf("%s: %d %s, the limit is %d: split it by concern, or add an exception with a reason to exceptions.go",
					e.of, e.is, e.measure, e.measure.Most()))
		case e.is > x.Most:
			found = append(found, fmt.Sprintf("%s: %d %s, its exception ends at %d (%s): it may shrink, not grow", e.of, e.is,
				e.measure, x.Most, x.Why))
		}
	}
	for _, x := range exceptions {
		if !used[x] {
			found = append(found, fmt.Sprintf("%s keeps within the limit of %d %s: take its exception out of exceptions.go", x.Of,
				x.Measure.Most(), x.Measure))
		}
		if strings.TrimSpace(x.Why) == "" {
			found = append(found, fmt.Sprintf("the exception of %s gives no reason", x.Of))
		}
	}
	return found
}

func excesses(rooms []Room) []excess {
	var all []excess
	for _, r := range rooms {
		if r.Files > filesMax {
			all = append(all, excess{Files, r.Package, r.Files})
		}
		for _, t := range r.Types {
			if t.Lines > structMax {
				all = append(all, excess{StructLines, r.Package + "." + t.Name, t.Lines})
			}
			if t.Methods > methodsMax {
				all = append(all, excess{Methods, r.Package + "." + t.Name, t.Methods})
			}
		}
	}
	return all
}
