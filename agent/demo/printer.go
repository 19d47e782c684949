package demo

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/linkbeat/linkbeat/agent/printable"
)

// printer writes lines with the time since the start. Safe for concurrent use.
type printer struct {
	mu    sync.Mutex
	out   io.Writer
	start time.Time
}

// say writes one line about who.
func (p *printer) say(who, format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = printable.Fprintf(p.out, "%5.1fs  %-8s %s\n", time.Since(p.start).Seconds(), who, fmt.Sprintf(format, args...))
}

// text writes lines as they are.
func (p *printer) text(s string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = io.WriteString(p.out, printable.Text(s))
}

// counter is the state of the frames in a line.
func counter(r Result) string {
	return fmt.Sprintf("%4d sent, %4d received, %d lost, %d twice", r.Sent, r.Received, r.Lost, r.Duplicated)
}

// barCells are the cells of a bar for one second.
const barCells = 4

// bar draws a beat, so that it is seen to grow: a block for each quarter of a second.
func bar(beat time.Duration) string {
	return strings.Repeat("▬", int(beat*barCells/time.Second))
}

// table writes name and value in columns.
func table(rows [][2]string) string {
	var b strings.Builder
	w := printable.NewTable(&b)
	for _, r := range rows {
		w.Row("  "+r[0], r[1])
	}
	_ = w.Flush() // a strings.Builder takes everything
	return b.String()
}
