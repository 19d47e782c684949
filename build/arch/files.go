package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strconv"
	"strings"
)

// Maker lets one product file make files otherwise than by agent/ownfile.
type Maker struct {
	Path string
	What string // the call, such as os.Create
	Why  string
}

// Makers are all that do. One that makes no file any more fails the test.
func Makers() []Maker {
	const test = "for tests: in a directory of their own"
	const demo = "in a directory that was made a moment ago, with a random name and for us alone"
	return []Maker{
		{"agent/ownfile/ownfile.go", "OpenFile",
			"it is the one place: names in a directory, O_EXCL, and what is in the way is looked at first"},
		{"agent/ownfile/ownfile.go", "O_CREATE", "the same"},
		{"agent/gate/listen.go", "os.OpenFile", "a lock, in a folder of ours: what stands there is looked at first"},
		{"agent/gate/listen.go", "os.O_CREATE", "the same"},
		{"agent/spool/disk.go", "Create", "of the spool's seam for disks, behind which stands ownfile.Make: segments and cursor"},
		{"agent/spool/done.go", "Create", "the same, beside a segment"},
		{"agent/spool/flush.go", "Create", "the same, for the reserve"},
		{"agent/spool/recover.go", "Create", "the same, for the meta file"},
		{"agent/demo/demo.go", "os.MkdirTemp", demo},
		{"agent/demo/agent.go", "os.WriteFile", demo},
		{"agent/demo/agent.go", "os.Create", demo},
		{"transport/brokertest/mosquitto.go", "os.WriteFile", test},
		{"transport/brokertest/config.go", "os.WriteFile", test},
		{"transport/brokertest/certs.go", "os.WriteFile", test},
	}
}

// making are the functions of the standard library, and of x/sys, that make a file or what may pass for one. Of a package, by its
// path.
func making() map[string][]string {
	system := []string{"Creat", "Mknod", "Mknodat", "Mkfifo", "Mkfifoat", "Link", "Linkat", "Symlink", "Symlinkat",
		"MemfdCreate", "O_CREAT", "O_TRUNC", "O_TMPFILE"}
	return map[string][]string{
		"os": {"Create", "CreateTemp", "MkdirTemp", "WriteFile", "CopyFS", "Link", "Symlink", "Truncate",
			"O_CREATE", "O_TRUNC"},
		"io/ioutil":             {"WriteFile", "TempFile", "TempDir"},
		"syscall":               system,
		"golang.org/x/sys/unix": system,
	}
}

// methods make a file whatever they are methods of: an os.Root, above all.
func methods() []string {
	return []string{"Create", "CreateTemp", "OpenFile", "WriteFile", "Symlink"}
}

// opening are functions with flags, and where those stand among the arguments.
func opening() map[string]int {
	return map[string]int{"os.OpenFile": 1, "syscall.Open": 1, "syscall.Openat": 2, "golang.org/x/sys/unix.Open": 1,
		"golang.org/x/sys/unix.Openat":  2,
		"golang.org/x/sys/unix.Openat2": -1}
}

// Made lists what in a source makes a file, as "what file:line": mentioned is enough, since a function can be called under
// another name. Of functions with flags only such are passed as plainly make none.
func (s Source) Made() []string {
	var found []string
	say := func(n ast.Node, what string) {
		found = append(found, fmt.Sprintf("%s %s:%d", what, s.Path, s.Fset.Position(n.Pos()).Line))
	}
	packages := s.packages()
	for path := range making() {
		if packages["."] == path {
			say(s.File.Name, "import . of "+path)
		}
	}
	plain := map[ast.Node]bool{} // functions whose flags were seen
	ast.Inspect(s.File, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			plain[n.Fun] = s.plainFlags(n, packages)
		case *ast.SelectorExpr:
			id, _ := n.X.(*ast.Ident)
			path, isPackage := "", false
			if id != nil {
				path, isPackage = packages[id.Name]
			}
			_, hasFlags := opening()[path+"."+n.Sel.Name]
			switch {
			case isPackage && (slices.Contains(making()[path], n.Sel.Name) || hasFlags && !plain[n]):
				say(n, id.Name+"."+n.Sel.Name)
			case !isPackage && slices.Contains(methods(), n.Sel.Name):
				say(n, n.Sel.Name)
			}
		}
		return true
	})
	return found
}

// packages are the paths of imports by the names that the source gives them.
func (s Source) packages() map[string]string {
	names := map[string]string{}
	for _, i := range s.File.Imports {
		path, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			continue
		}
		name := path[strings.LastIndexByte(path, '/')+1:]
		if i.Name != nil {
			name = i.Name.Name
		}
		names[name] = path
	}
	return names
}

// plainFlags is true for a call of a function with flags in which those are constants of packages, and none makes a file.
func (s Source) plainFlags(call *ast.CallExpr, packages map[string]string) bool {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	id, ok := sel.X.(*ast.Ident)
	if !ok {
		return false
	}
	at, ok := opening()[packages[id.Name]+"."+sel.Sel.Name]
	return ok && at >= 0 && at < len(call.Args) && constantFlags(call.Args[at])
}

func constantFlags(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BinaryExpr:
		return e.Op == token.OR && constantFlags(e.X) && constantFlags(e.Y)
	case *ast.SelectorExpr:
		return strings.HasPrefix(e.Sel.Name, "O_") && !slices.Contains([]string{"O_CREATE", "O_CREAT", "O_TRUNC", "O_TMPFILE"},
			e.Sel.Name)
	case *ast.BasicLit:
		return e.Value == "0"
	}
	return false
}

// StrangeFiles says which sources make files otherwise than by the one helper, and which exceptions nobody needs.
func StrangeFiles(all []Source, makers []Maker) []string {
	var breaches []string
	used := map[Maker]bool{}
	for _, s := range all {
		for _, made := range s.Made() {
			what, at, _ := strings.Cut(made, " ")
			i := slices.IndexFunc(makers, func(m Maker) bool {
				return m.Path == s.Path && m.What == what || m.Path == s.Path && strings.HasSuffix(what, "."+m.What)
			})
			if i < 0 {
				breaches = append(breaches,
					fmt.Sprintf("%s: %s makes a file where a stranger may have put a link or a FIFO: use agent/ownfile, "+
						"or add it to build/arch/files.go with a reason", at, what))
				continue
			}
			used[makers[i]] = true
		}
	}
	for _, m := range makers {
		if !used[m] {
			breaches = append(breaches, fmt.Sprintf("%s has no %s any more: take its exception out of build/arch/files.go",
				m.Path, m.What))
		}
		if strings.TrimSpace(m.Why) == "" {
			breaches = append(breaches, fmt.Sprintf("the exception of %s gives no reason", m.Path))
		}
	}
	return breaches
}
