package upgrade

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// The files of a recorded story.
const (
	stateDir     = "state"
	documentFile = "linkbeat.yaml"
	siteFile     = "site.json"
	expectedFile = "expected.json"
)

// site is where a gateway was: what stands in its files and is another thing on another machine.
type site struct {
	By     string `json:"by"` // the version that wrote it
	Dir    string `json:"dir"`
	TTYs   string `json:"ttys"` // what the names of the ports begin with
	Broker string `json:"broker"`
	Bus    string `json:"bus"`
	Lake   string `json:"lake"`
	HTTP   string `json:"http"`
}

func (g *gateway) site(by string) site {
	return site{By: by, Dir: g.agent.Dir, TTYs: g.ttyFrom, Broker: g.addr(), Bus: g.slaves["bus"].addr,
		Lake: g.slaves["lake"].addr, HTTP: g.agent.HTTP}
}

// nowhere is the site that is shown.
func nowhere() site {
	return site{Dir: "DIR", TTYs: "TTY-", Broker: "BROKER", Bus: "BUS", Lake: "LAKE", HTTP: "PAGE"}
}

// moved is a text of site s at site to.
func (s site) moved(text []byte, to site) []byte {
	return []byte(strings.NewReplacer(s.Dir, to.Dir, s.TTYs, to.TTYs, s.Broker, to.Broker, s.Bus, to.Bus, s.Lake, to.Lake,
		s.HTTP, to.HTTP).
		Replace(string(text)))
}

// reserve is a file of the spools that holds zeros and nothing else, as many as a segment has bytes: it is not kept.
const reserve = "reserve"

// keep writes what a story left to the folder out.
func (g *gateway) keep(out, by string) error {
	if err := copyTree(filepath.Join(g.agent.Dir, "state"), filepath.Join(out, stateDir),
		func(_ string, p []byte) []byte { return p }); err != nil {
		return err
	}
	if err := g.agent.Configure(g.document(nil)); err != nil {
		return err
	}
	doc, err := os.ReadFile(g.agent.ConfigPath)
	if err == nil {
		err = os.WriteFile(filepath.Join(out, documentFile), doc, 0o644)
	}
	return errors.Join(err, saveJSON(filepath.Join(out, siteFile), g.site(by)))
}

// resume gives a gateway the document and the state of a recorded story. Beside the site's own words it changes two
// kinds of times, as if the story had ended just now: the path memory forgets after 30 days, and the journal when
// its commands have expired.
func (g *gateway) resume(from string) (site, error) {
	var was site
	if err := loadJSON(filepath.Join(from, siteFile), &was); err != nil {
		return was, err
	}
	to := g.site(was.By)
	doc, err := os.ReadFile(filepath.Join(from, documentFile))
	if err != nil {
		return was, fmt.Errorf("recorded document: %w", err)
	}
	if err := g.agent.ConfigureRaw(was.moved(doc, to)); err != nil {
		return was, err
	}
	now := time.Now()
	return was, copyTree(filepath.Join(from, stateDir), filepath.Join(g.agent.Dir, "state"), func(name string, p []byte) []byte {
		switch name {
		case "paths.json":
			p = timeAt().ReplaceAll(p, fmt.Appendf(nil, `"at": %d`, now.UnixMilli()))
		case "commands.journal":
			p = timeExpires().ReplaceAll(p, fmt.Appendf(nil, `"expires":%d`, now.Add(expiry).UnixMilli()))
		}
		if text(name) {
			p = resealed(was.moved(p, to))
		}
		return p
	})
}

// resealed is a state file in which the checksums of its lines, or the one at its end, are right again.
func resealed(p []byte) (all []byte) {
	const inLine, atEnd = `,"sum":"`, ",\n \"sum\": \""
	for line := range bytes.Lines(p) {
		if at := bytes.LastIndex(line, []byte(inLine)); at >= 0 {
			line = fmt.Appendf(bytes.Clone(line[:at]), "%s%08x\"}\n", inLine, sum(line[:at]))
		}
		all = append(all, line...)
	}
	if at := bytes.LastIndex(all, []byte(atEnd)); at >= 0 {
		all = fmt.Appendf(all[:at], "%s%08x\"\n}\n", atEnd, sum(all[:at]))
	}
	return all
}

func timeAt() *regexp.Regexp      { return regexp.MustCompile(`"at": ?\d+`) }
func timeExpires() *regexp.Regexp { return regexp.MustCompile(`"expires":\d+`) }

// text tells the files that are written for people.
func text(name string) bool {
	return strings.HasSuffix(name, ".json") || strings.HasSuffix(name, ".yaml") || name == "commands.journal"
}

// copyTree copies the files below from, each as change makes it.
func copyTree(from, to string, change func(name string, p []byte) []byte) error {
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.Name() == reserve {
			return nil
		}
		target := filepath.Join(to, rel)
		if d.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		p, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, change(d.Name(), p), 0o600)
	})
	if err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	return nil
}

func loadJSON(path string, v any) error {
	p, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(p, v)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func saveJSON(path string, v any) error {
	p, err := json.MarshalIndent(v, "", " ")
	if err == nil {
		err = os.WriteFile(path, append(p, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
