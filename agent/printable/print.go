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
		return whole(len(p), w.send(AppendJSON(nil, p, w.most)))
	}
	text := p
	if len(w.held) > 0 {
		text = append(w.held, p...)
		w.held = nil
	}
	if n := unfinished(text); n > 0 {
		w.held = slices.Clone(text[len(text)-n:])
		text = text[:len(text)-n]
	}
	if len(text) == 0 {
		return len(p), nil
	}
	return whole(len(p), w.send([]byte(Text(string(text)))))
}

// Flush writes what is held: nothing follows that could make a character of it.
func (w *Writer) Flush() error {
	held := w.held
	if w.held = nil; len(held) == 0 {
		return nil
	}
	return w.send([]byte(Text(string(held))))
}

func (w *Writer) send(p []byte) error {
	_, err := w.out.Write(p)
	return err
}

func whole(n int, err error) (int, error) {
	if err != nil {
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

// shownArg is a with its text made printable; what has none stays, so that a verb for numbers works.
func shownArg(a any) any {
	switch a := a.(type) {
	case nil:
		return a
	case string:
		return Line(a)
	case []byte:
		return Line(string(a))
	case error:
		return Line(a.Error())
	case fmt.Stringer:
		return Line(a.String())
	}
	switch v := reflect.ValueOf(a); v.Kind() {
	case reflect.String:
		return Line(v.String())
	case reflect.Slice, reflect.Map, reflect.Struct, reflect.Pointer, reflect.Interface, reflect.Array:
		return Line(fmt.Sprint(a))
	}
	return a
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
	switch v.Kind() {
	case reflect.String:
		if s := v.String(); v.CanSet() {
			if shown := Short(s, most); shown != s {
				v.SetString(shown)
			}
		}
	case reflect.Pointer:
		if !v.IsNil() {
			to := reflect.New(v.Type().Elem())
			to.Elem().Set(v.Elem())
			deep(to.Elem(), most)
			v.Set(to)
		}
	case reflect.Interface:
		if !v.IsNil() {
			in := reflect.New(v.Elem().Type()).Elem()
			in.Set(v.Elem())
			deep(in, most)
			v.Set(in)
		}
	case reflect.Struct:
		for f, field := range v.Fields() {
			if f.IsExported() {
				deep(field, most)
			}
		}
	case reflect.Slice, reflect.Array:
		if v.Len() > 0 && v.Type().Elem().Kind() != reflect.Uint8 {
			deepList(v, most)
		}
	case reflect.Map:
		if !v.IsNil() {
			v.Set(deepMap(v, most))
		}
	}
}

func deepList(v reflect.Value, most int) {
	if v.Kind() == reflect.Slice {
		list := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(list, v)
		v.Set(list)
	}
	for i := range v.Len() {
		deep(v.Index(i), most)
	}
}

// deepMap is the map again. No two keys become one.
func deepMap(v reflect.Value, most int) reflect.Value {
	out := reflect.MakeMapWithSize(v.Type(), v.Len())
	for key, value := range v.Seq2() {
		k, e := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		k.Set(key)
		e.Set(value)
		deep(k, most)
		deep(e, most)
		for k.Kind() == reflect.String && out.MapIndex(k).IsValid() {
			k.SetString(k.String() + "'")
		}
		out.SetMapIndex(k, e)
	}
	return out
}
