package diag

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/agent/gate"
	"github.com/linkbeat/linkbeat/agent/ownfile"
	"github.com/linkbeat/linkbeat/agent/printable"
	"github.com/linkbeat/linkbeat/config"
)

const (
	askTime  = 5 * time.Second // for the agent, and for the log
	stateMax = 1 << 20         // bytes of a file of the state directory, and of the log
)

// Bundle says what goes into a tarball for a helper far away. Document and Report are required.
type Bundle struct {
	Document *config.Document
	Report   Report
	Environ  []string                              // as os.Environ: what is secret in it is taken out of everything
	Agent    gate.Where                            // where a running agent is asked how it is
	Log      func(context.Context) ([]byte, error) // the agent's last lines; nil: those of journalctl
}

// entry is one file of the tarball.
type entry struct {
	name string
	body []byte
}

// Write packs the bundle: diag.txt and diag.json, status.json of a running agent, the effective configuration, paths.json and
// ledger.json of the state directory, the log, and the version. What cannot be had is a note in a file of that name with ".txt";
// an error is one of out. No password is in it, whatever file it came from.
func (b Bundle) Write(ctx context.Context, out io.Writer) error {
	files := []entry{
		{"version.txt", fmt.Appendf(nil, "linkbeat %s\n%s %s/%s\nhost %s\n", b.Report.Version, runtime.Version(), runtime.GOOS,
			runtime.GOARCH, hostName())}, b.text(), asJSON("diag.json", b.Report), {"config.yaml", b.Document.ForOthers()},
		b.status(ctx), b.state("paths.json"), b.state("ledger.json"), b.log(ctx),
	}
	scrub := newScrubber(b.Document, b.Environ)
	at := time.UnixMilli(b.Report.At)
	folder := fmt.Sprintf("linkbeat-%s-%s", strings.ReplaceAll(b.Report.ID, "/", "_"), at.UTC().Format("20060102T150405"))
	zipped := gzip.NewWriter(out)
	packed := tar.NewWriter(zipped)
	for _, f := range files {
		body := shown(f.name, scrub.scrub(f.body))
		h := &tar.Header{Name: path.Join(folder, f.name), Mode: 0o600, Size: int64(len(body)), ModTime: at, Format: tar.FormatPAX}
		if err := packed.WriteHeader(h); err != nil {
			return fmt.Errorf("bundle: %s: %w", f.name, err)
		}
		if _, err := packed.Write(body); err != nil {
			return fmt.Errorf("bundle: %s: %w", f.name, err)
		}
	}
	if err := errors.Join(packed.Close(), zipped.Close()); err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	return nil
}

// shown is a file as whoever opens it in a terminal may see it; documents say the same as before.
func shown(name string, body []byte) []byte {
	if path.Ext(name) == ".json" {
		return printable.AppendJSON(nil, body, 0)
	}
	return []byte(printable.Text(string(body)))
}

func (b Bundle) text() entry {
	var text bytes.Buffer
	b.Report.Render(&text)
	return entry{"diag.txt", text.Bytes()}
}

func asJSON(name string, v any) entry {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return missing(name, err)
	}
	return entry{name, text.Bytes()}
}

// missing is a note in the place of a file.
func missing(name string, why error) entry {
	return entry{name + ".txt", []byte("not there: " + why.Error() + "\n")}
}

func (b Bundle) status(ctx context.Context) entry {
	const name = "status.json"
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	s, err := b.Agent.Status(ctx)
	if err != nil {
		return missing(name, err)
	}
	return asJSON(name, s)
}

func (b Bundle) state(name string) entry {
	root, err := os.OpenRoot(b.Document.StateDir)
	if err != nil {
		return missing(name, err)
	}
	defer root.Close()
	p, err := ownfile.Read(root, name, stateMax)
	if err != nil {
		return missing(name, err)
	}
	return entry{name, p}
}

func (b Bundle) log(ctx context.Context) entry {
	const name = "log.txt"
	read := b.Log
	if read == nil {
		read = journal
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	p, err := read(ctx)
	if err != nil {
		p = append(p, "\nthe log is not whole: "+err.Error()+"\n"...)
	}
	return entry{name, p}
}
