package demo

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

// lineWidth is where the text of a frame is cut, in characters.
const lineWidth = 64

// printer writes lines with the time since the start. Safe for concurrent use.
type printer struct {
	mu     sync.Mutex
	out    io.Writer
	start  time.Time
	frames int // arrived since the last line about them
	last   string
}

// say writes one line about who.
func (p *printer) say(who, format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flush()
	p.line(who, fmt.Sprintf(format, args...))
}

func (p *printer) line(who, what string) {
	fmt.Fprintf(p.out, "%5.1fs  %-7s %s\n", time.Since(p.start).Seconds(), who, what)
}

// frame notes a frame that arrived at the broker; it is shown with the next tick.
func (p *printer) frame(seq uint64, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(text) > lineWidth {
		text = text[:lineWidth] + "…"
	}
	p.frames++
	p.last = fmt.Sprintf("#%d %s", seq, text)
}

// tick writes what arrived since the last.
func (p *printer) tick() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flush()
}

func (p *printer) flush() {
	if p.frames > 0 {
		p.line("broker", fmt.Sprintf("%3d frames, the last %s", p.frames, p.last))
		p.frames = 0
	}
}

// text writes lines as they are.
func (p *printer) text(s string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flush()
	fmt.Fprint(p.out, s)
}

// table writes name and value in columns.
func table(rows [][2]string) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%s\t\n", r[0], r[1])
	}
	_ = w.Flush() // a strings.Builder takes everything
	return b.String()
}
