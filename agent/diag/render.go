package diag

import (
	"fmt"
	"io"
	"slices"

	"github.com/linkbeat/linkbeat/agent/printable"
)

// Printer writes steps for people as they come, one line each; a hint stands below its step.
type Printer struct {
	Out    io.Writer
	Faults bool // leave out what is well

	url string // of the server whose steps come, while it is not written
}

var _ Watcher = (*Printer)(nil)

// Server is called before the steps of a server.
func (p *Printer) Server(url string) {
	p.url = url
	if !p.Faults {
		p.head()
	}
}

// head writes which server it is about, once.
func (p *Printer) head() {
	if p.url != "" {
		_ = printable.Fprintf(p.Out, "%s\n", p.url)
		p.url = ""
	}
}

// Step is called after each step.
func (p *Printer) Step(s Step) {
	if p.Faults && s.Status == OK {
		return
	}
	p.head()
	_, _ = io.WriteString(p.Out, line(s)) // there is no place left to report it
}

// Render writes a whole report for people.
func (r Report) Render(out io.Writer) {
	p := &Printer{Out: out}
	for _, s := range slices.Concat(r.Agent, r.Machine) {
		p.Step(s)
	}
	for _, server := range r.Servers {
		p.Server(server.URL)
		for _, s := range server.Steps {
			p.Step(s)
		}
	}
}

// line is "ok   dns           12 ms  broker.example.net is 192.0.2.1", and below it the hint.
func line(s Step) string {
	text := printable.Sprintf("%-4s %-9s %8s  %s\n", s.Status, s.Name, took(s.TookMS), s.Text)
	if s.Hint != "" {
		text += "       " + printable.Line(s.Hint) + "\n"
	}
	return text
}

func took(ms float64) string {
	switch {
	case ms == 0:
		return ""
	case ms < 10:
		return fmt.Sprintf("%.1f ms", ms)
	}
	return fmt.Sprintf("%.0f ms", ms)
}
