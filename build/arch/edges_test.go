package main

import (
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestEveryEdgeIsPrintable(t *testing.T) {
	for _, sentence := range PastEdges(Edges(sources(t)), OwnEdges()) {
		t.Error(sentence)
	}
}

// parsed is a file of the package agent/x with these imports and this body of a func.
func parsed(t *testing.T, imports, body string) Source {
	t.Helper()
	s := Source{Path: "agent/x/x.go", Package: "agent/x", Fset: token.NewFileSet()}
	text := "package x\n"
	for _, i := range strings.Fields(imports) {
		name, p, named := strings.Cut(i, "=")
		if !named {
			name, p = "", i
		}
		text += "import " + name + " " + strconv.Quote(p) + "\n"
	}
	f, err := parser.ParseFile(s.Fset, s.Path, text+"func f() {\n"+body+"\n}\n", parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	s.File = f
	return s
}

func TestEdgesAreFound(t *testing.T) {
	for _, tt := range []struct{ name, imports, body, want string }{
		{"a stream", "os", "os.Stderr.WriteString(why)", "os.Stderr"},
		{"a stream that is handed on", "os", "run(os.Stdout)", "os.Stdout"},
		{"a stream under another name", "x=os", "run(x.Stdout)", "os.Stdout"},
		{"a print", "fmt", "fmt.Println(why)", "fmt.Println"},
		{"a print as a value", "fmt", "say := fmt.Printf; say(why)", "fmt.Printf"},
		{"a builtin", "", "println(why)", "println"},
		{"a print to a writer", "fmt", "fmt.Fprintf(out, why)", "fmt.Fprintf"},
		{"a print to a command", "fmt", "fmt.Fprintln(cmd.OutOrStdout(), why)", "fmt.Fprintln"},
		{"a table", "text/tabwriter", "tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)", "text/tabwriter"},
		{"a document", "encoding/json", "json.NewEncoder(w).Encode(v)", "json.NewEncoder"},
		{"a string to a writer", "io", "io.WriteString(w, why)", "io.WriteString"},
		{"an error of a page", "net/http", "http.Error(w, err.Error(), 500)", "http.Error"},
		{"a log of its own", "github.com/rs/zerolog", "zerolog.New(w)", "zerolog.New"},
		{"the standard log", "log", "log.Print(why)", "log"},
		{"behind an edge", "", "w.Raw().Write(p)", "Raw"},
		{"behind an edge of a command", "cmd/internal/cli", "cli.RawOut(cmd)", "cli.RawOut"},
		{"another stream for a command", "", "root.SetOut(w)", "SetOut"},
		{"the terminal by name", "os", `os.OpenFile("/dev/tty", 1, 0)`, "/dev/tty"},
		{"names that are hidden", ".=fmt", "Println(why)", "import . fmt"},

		{"into a buffer", "fmt encoding/json io", "fmt.Fprintf(&b, why); json.NewEncoder(&b).Encode(v); io.WriteString(&b, why)",
			""},
		{"text that stays", "fmt", "why = fmt.Sprintf(why)", ""},
		{"the room", "agent/printable net/http io", `printable.Fprintf(w, "%s", why); http.Error(w, printable.Line(why), 500); ` +
			"io.WriteString(w, printable.Text(why))", ""},
		{"words of ours", "net/http", `http.Error(w, "no such device", 404)`, ""},
		{"an edge", "io", "io.WriteString(cmd.ErrOrStderr(), why)", ""},
		{"a name of ours that is like it", "", "os.Stdout.Close()", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, p := range Edges([]Source{parsed(t, tt.imports, tt.body)}) {
				got = append(got, p.What)
			}
			if want := strings.Fields(tt.want); tt.want != "import . fmt" && !slices.Equal(got, want) ||
				tt.want == "import . fmt" && !slices.Contains(got, tt.want) {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestPastEdges(t *testing.T) {
	past := []Past{{"agent/x/x.go", 3, "os.Stderr"}}
	for _, tt := range []struct {
		name string
		own  []Own
		want []string
	}{
		{"no exception", nil, []string{"agent/x/x.go:3: os.Stderr goes past"}},
		{"an exception", []Own{{"agent/x/x.go", "os.Stderr", "handed on"}}, nil},
		{"of another file", []Own{{"agent/y/y.go", "os.Stderr", "handed on"}}, []string{"agent/x/x.go:3",
			"nothing there needs it"}},
		{"of another thing", []Own{{"agent/x/x.go", "os.Stdout", "handed on"}}, []string{"agent/x/x.go:3",
			"nothing there needs it"}},
		{"without a reason", []Own{{"agent/x/x.go", "os.Stderr", " "}}, []string{"gives no reason"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := PastEdges(past, tt.own); !slices.EqualFunc(got, tt.want, strings.Contains) {
				t.Errorf("%q, want sentences with %q", got, tt.want)
			}
		})
	}
}
