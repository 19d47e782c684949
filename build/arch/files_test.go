package main

import (
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestFilesAreMadeInOnePlace(t *testing.T) {
	var product []Source
	for _, s := range sources(t) {
		if !s.Test && !anyWithin(s.Package, Outside()) {
			product = append(product, s)
		}
	}
	for _, sentence := range StrangeFiles(product, Makers()) {
		t.Error(sentence)
	}
}

func parsedFile(t *testing.T, path, text string) Source {
	t.Helper()
	s := Source{Path: path, Fset: token.NewFileSet()}
	var err error
	if s.File, err = parser.ParseFile(s.Fset, path, text, 0); err != nil {
		t.Fatal(err)
	}
	return s
}

// importing is the beginning of a source, up to the body of a function.
func importing(paths ...string) string {
	return "package x\nimport (\n\"" + strings.Join(paths, "\"\n\"") + "\"\n)\nfunc f() {\n"
}

func TestEveryWayToMakeAFileIsFound(t *testing.T) {
	for code, want := range map[string]string{
		`os.Create("x")`:                                       "os.Create",
		`f := os.Create; f("x")`:                               "os.Create",
		`os.WriteFile("x", nil, 0)`:                            "os.WriteFile",
		`system.WriteFile("x", nil, 0)`:                        "system.WriteFile",
		`os.CreateTemp("", "x")`:                               "os.CreateTemp",
		`os.OpenFile("x", os.O_RDWR|os.O_CREATE, 0)`:           "os.OpenFile",
		`os.OpenFile("x", os.O_RDWR|unix.O_CREAT, 0)`:          "os.OpenFile",
		`os.OpenFile("x", 0x42, 0)`:                            "os.OpenFile",
		`os.OpenFile("x", flags(), 0)`:                         "os.OpenFile",
		`open := os.OpenFile; open("x", 66, 0)`:                "os.OpenFile",
		`flags := os.O_CREATE | os.O_WRONLY; use(flags)`:       "os.O_CREATE",
		`ioutil.WriteFile("x", nil, 0)`:                        "ioutil.WriteFile",
		`ioutil.TempFile("", "x")`:                             "ioutil.TempFile",
		`unix.Open("x", unix.O_RDWR|unix.O_CREAT, 0)`:          "unix.Open",
		`unix.Openat(3, "x", flag, 0)`:                         "unix.Openat",
		`unix.Openat2(3, "x", &how)`:                           "unix.Openat2",
		`unix.Creat("x", 0)`:                                   "unix.Creat",
		`syscall.Open("x", syscall.O_CREAT|syscall.O_EXCL, 0)`: "syscall.Open",
		`syscall.Mkfifo("x", 0)`:                               "syscall.Mkfifo",
		`root.OpenFile("x", os.O_RDWR|os.O_CREATE, 0)`:         "OpenFile",
		`s.dir.root.Create("x")`:                               "Create",
		`openRoot().WriteFile("x", nil, 0)`:                    "WriteFile",
		`make := root.WriteFile; make("x", nil, 0)`:            "WriteFile",
	} {
		src := importing("os", "os", "io/ioutil", "syscall", "golang.org/x/sys/unix") + code + "\n}\n"
		src = strings.Replace(src, "\n\"os\"", "\nsystem \"os\"", 1)
		s := parsedFile(t, "agent/x/x.go", src)
		if got := s.Made(); !slices.Contains(got, want+" agent/x/x.go:10") {
			t.Errorf("%s: %q", code, got)
		}
		if got := StrangeFiles([]Source{s}, nil); len(got) == 0 || !strings.Contains(got[0], "agent/x/x.go:10") {
			t.Errorf("%s: %q", code, got)
		}
	}
	if got := parsedFile(t, "x.go", "package x\nimport . \"os\"\nfunc f() { Create(\"x\") }\n").Made(); len(got) != 1 {
		t.Errorf("import into the own names: %q", got)
	}
}

func TestWhatMakesNoFileIsPassed(t *testing.T) {
	for _, code := range []string{
		`os.Open("x")`, `os.OpenFile("x", os.O_RDWR|unix.O_NOCTTY, 0)`, `unix.Open("x", unix.O_RDWR|unix.O_CLOEXEC, 0)`,
		`os.ReadFile("x")`,
		`ownfile.Replace(root, "x", nil)`, `root.Open("x")`, `os.MkdirAll("x", 0o700)`, `os.Rename("x", "y")`,
		`unix.Openat(3, "x", unix.O_RDONLY, 0)`,
	} {
		src := importing("os", "golang.org/x/sys/unix", module+"agent/ownfile") + code + "\n}\n"
		if got := parsedFile(t, "x.go", src).Made(); len(got) != 0 {
			t.Errorf("%s: %q", code, got)
		}
	}
}

func TestExceptionsOfMakersAreUsedAndExplained(t *testing.T) {
	s := parsedFile(t, "a/x.go", "package x\nimport \"os\"\nvar f = os.Create\n")
	for i, c := range []struct {
		makers []Maker
		want   string
	}{
		{[]Maker{{"a/x.go", "os.Create", "a reason"}}, ""},
		{[]Maker{{"a/y.go", "os.Create", "a reason"}}, "a/x.go:3"},
		{[]Maker{{"a/x.go", "os.WriteFile", "a reason"}}, "a/x.go:3"},
		{[]Maker{{"a/x.go", "os.Create", "a reason"}, {"a/x.go", "os.WriteFile", "x"}}, "no os.WriteFile any more"},
		{[]Maker{{"a/x.go", "os.Create", ""}}, "gives no reason"},
	} {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			got := strings.Join(StrangeFiles([]Source{s}, c.makers), "\n")
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
