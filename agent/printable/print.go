package printable

import (
	"encoding"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode/utf8"
)

// Writer is an edge: what is written to it goes on as [Text], or as JSON lines. Not safe for concurrent use, unless each Write is
// a whole line and what is behind it is.
type Writer struct {
	out   io.Writer
	lines bool   // JSON lines
	most  int    // bytes of a string in them
	held  []byte // the beginning of a character whose end may come
}

var _ io.Writer = (*Writer)(nil)

// NewWriter is an edge for text to out.
func NewWriter(out io.Writer) *Writer { return &Writer{out: out} }

// NewLogWriter is an edge for JSON lines to out, one in a Write; strings in them have at most most bytes. It holds nothing, and
// is as safe for concurrent use as out.
func NewLogWriter(out io.Writer, most int) *Writer { return &Writer{out: out, lines: true, most: most} }

// Raw is what is behind the edge: for bytes that a person has asked for as they are. build/arch lists who may call it.
func (w *Writer) Raw() io.Writer { return w.out }

// Write implements io.Writer. It counts all of p as written, or nothing of it.
func (w *Writer) Write(p []byte) (int, error) {
	if w.lines {
		return w.send(len(p), AppendJSON(nil, p, w.most))
	}
	text := append(w.held, p...)
	end := len(text) - unfinished(text)
	w.held = slices.Clone(text[end:])
	if end == 0 {
		return len(p), nil
	}
	return w.send(len(p), []byte(Text(string(text[:end]))))
}

// Flush writes what is held: nothing follows that could make a character of it.
//
//go:noinline
func (w *Writer) Flush() error {
	held := w.held
	if w.held = nil; len(held) == 0 {
		return nil
	}
	_, err := w.send(0, []byte(Text(string(held))))
	return err
}

// send writes p, which stands for n bytes.
func (w *Writer) send(n int, p []byte) (int, error) {
	if _, err := w.out.Write(p); err != nil {
		return 0, err
	}
	return n, nil
}

// unfinished is how many bytes at the end of p are the beginning of a character that may be finished by what follows.
func unfinished(p []byte) int {
	for n := 1; n <= min(len(p), utf8.UTFMax-1); n++ {
		if begin := p[len(p)-n:]; utf8.RuneStart(begin[0]) {
			if begin[0] < utf8.RuneSelf || utf8.FullRune(begin) {
				return 0
			}
			return n
		}
	}
	return 0
}

// Sprintf is fmt.Sprintf, and each argument that has text is one [Line] of it: what a format says is ours, what it is filled with
// may be a stranger's.
func Sprintf(format string, args ...any) string {
	for i, a := range args {
		args[i] = shownArg(a)
	}
	return fmt.Sprintf(format, args...)
}

// Fprintf writes [Sprintf], in one Write: w may flush at the end of each.
func Fprintf(w io.Writer, format string, args ...any) error {
	_, err := w.Write([]byte(Sprintf(format, args...)))
	return err
}

// shownArg is a with its text made printable; a number or truth value stays, so that a verb for one works.
func shownArg(a any) any {
	if p, ok := a.([]byte); ok {
		return Line(string(p))
	}
	if k := reflect.ValueOf(a).Kind(); k >= reflect.Bool && k <= reflect.Complex128 {
		return a
	}
	return Line(fmt.Sprint(a))
}

// Table is rows of cells in columns, each cell one [Line].
type Table struct{ w *tabwriter.Writer }

// NewTable is a table that Flush writes to out.
func NewTable(out io.Writer) Table { return Table{tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)} }

// Row adds a row. An error of out comes from Flush.
func (t Table) Row(cells ...string) {
	row := make([]string, len(cells))
	for i, c := range cells {
		row[i] = Line(c)
	}
	_, _ = io.WriteString(t.w, strings.Join(row, "\t")+"\n")
}

// Flush writes the table.
func (t Table) Flush() error { return t.w.Flush() }

// Deep makes each string that v leads to [Short], keys of maps too. v is a pointer to plain data; types that write themselves as
// text are left alone. What v leads to is replaced, never changed: it may be somebody else's.
func Deep(v any, most int) { deep(reflect.ValueOf(v).Elem(), most) }

func deep(v reflect.Value, most int) {
	if _, own := v.Interface().(encoding.TextMarshaler); own {
		return
	}
	kind, t := v.Kind(), v.Type()
	switch {
	case kind == reflect.String:
		if s := v.String(); v.CanSet() {
			v.SetString(Short(s, most))
		}
	case kind == reflect.Struct:
		for i := range v.NumField() {
			if t.Field(i).IsExported() {
				deep(v.Field(i), most)
			}
		}
	case kind == reflect.Array, kind == reflect.Slice && t.Elem().Kind() != reflect.Uint8 && v.Len() > 0:
		if kind == reflect.Slice {
			list := reflect.MakeSlice(t, v.Len(), v.Len())
			reflect.Copy(list, v)
			v.Set(list)
		}
		for i := range v.Len() {
			deep(v.Index(i), most)
		}
	case kind == reflect.Map && !v.IsNil():
		out := reflect.MakeMap(t)
		for all := v.MapRange(); all.Next(); {
			k := copied(all.Key(), t.Key(), most)
			for k.Kind() == reflect.String && out.MapIndex(k).IsValid() { // no two keys become one
				k.SetString(k.String() + "'")
			}
			out.SetMapIndex(k, copied(all.Value(), t.Elem(), most))
		}
		v.Set(out)
	case kind == reflect.Pointer && !v.IsNil():
		v.Set(copied(v.Elem(), t.Elem(), most).Addr())
	case kind == reflect.Interface && !v.IsNil():
		v.Set(copied(v.Elem(), v.Elem().Type(), most))
	}
}

// copied is a v of its own, printable.
func copied(v reflect.Value, t reflect.Type, most int) reflect.Value {
	own := reflect.New(t).Elem()
	own.Set(v)
	deep(own, most)
	return own
}
