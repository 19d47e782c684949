package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// DefaultFile is where the agent looks for its document.
const DefaultFile = "/etc/linkbeat/linkbeat.yaml"

// ErrNoUplink is returned by [Boot] when no document names a usable uplink: not the file, not the last good one, not the
// environment. The program exits with 78 (EX_CONFIG of sysexits.h) then.
var ErrNoUplink = errors.New("no usable uplink in any document that can be used")

// BootOptions say where [Boot] reads.
type BootOptions struct {
	File     string                            // if empty, [DefaultFile]
	ReadFile func(name string) ([]byte, error) // if nil, the file, as far as a document may be long
	Parse    ParseOptions
}

// Origin says which document runs.
type Origin string

// The origins, in the order in which [Boot] tries them.
const (
	FromFile     Origin = "file"     // as it is, but for the serial devices in Disabled
	FromLastGood Origin = "lastgood" // the file is bad; the last document that was put to use
	FromSalvage  Origin = "salvage"  // the file is bad and nothing was kept: its sound parts, defaults for the rest
)

// Booted is a document to run with, and what was wrong on the way to it.
type Booted struct {
	Document    *Document
	Origin      Origin
	Source      []byte            // the text of Document, for [Store.SaveGood]; nil when it must not be saved
	Store       *Store            // under the state directory of Document
	ConfigError string            // one sentence for the status page; "" when all is well
	Faults      Faults            // of the file
	Objections  Faults            // to Document, which runs at the start as it always did; a reload is refused for them
	Warnings    []Fault           // of Document
	Disabled    map[string]string // serial devices that were taken out, and why

	bared bool // programs were taken out of Document
}

// Boot finds a document to run with: a site must never be cut off by a typo. Faults confined to serial devices take those
// devices out. With any other fault the last good document runs, found through the state directory as far as the file
// can still name it; when nothing was kept, what is sound in the file; and where that is no server, what was kept although others
// could have written it, without the programs in it. Only when none of them has a server the error is [ErrNoUplink].
func Boot(o BootOptions) (Booted, error) {
	src, root, fault := readDocument(o)
	kept := o.Parse // the last good document is a file of our own
	o.Parse.File = o.file()
	if fault == nil {
		if b, ok := accept(root, o.Parse, nil); ok {
			b.Origin, b.Source = FromFile, src
			return b, nil
		}
	}
	dir := stateDir(src, root, o.Parse)
	faults := Faults{}
	if fault != nil {
		faults = append(faults, *fault)
	} else {
		faults = build(root, o.Parse, nil).faults
	}
	b, doubt, unread := lastGood(NewStore(dir), kept)
	if unread != nil || doubt != "" {
		if s, ok := salvage(root, o.Parse); ok {
			b, unread = s, cmp.Or(unread, notRun(doubt))
		} else if unread != nil {
			return Booted{Faults: faults}, fmt.Errorf("%w:\n%w%s", ErrNoUplink, faults, unusable(unread, "\n"))
		}
	}
	b.Faults = faults
	b.ConfigError = sentence(b, doubt, unread)
	return b, nil
}

// Refused is why a reload must not take b, in one line; "" when it may.
func (b Booted) Refused() string {
	if b.Origin != FromFile {
		return b.Faults.Sentence()
	}
	return b.Objections.Sentence()
}

// Concerns says in one line what the document runs with although check refuses it, and which of its secrets others can read; "":
// nothing.
func (b Booted) Concerns() string {
	all, then := slices.Clone(b.Objections), ""
	for _, w := range b.Warnings {
		if w.Exposed {
			all, then = append(all, w), "; then linkbeat reload"
		}
	}
	if len(all) == 0 {
		return ""
	}
	return "configuration: " + all.Sentence() + then
}

// sentence says in one line that the configuration is bad and what runs instead. doubt is who could have written the last good
// one, unread why it cannot be used.
func sentence(b Booted, doubt string, unread error) string {
	if b.Origin == FromLastGood && doubt != "" {
		return fmt.Sprintf("config_error: running the last good configuration%s, as others could have written it "+
			"(%s; then restart linkbeat): %s", without(b.bared), doubt, b.Faults.Sentence())
	}
	what := map[Origin]string{
		FromLastGood: "running the last good configuration",
		FromSalvage:  "running with what is sound in it and defaults for the rest",
	}
	return fmt.Sprintf("config_error: %s: %s", what[b.Origin], b.Faults.Sentence()) + unusable(unread, "; ")
}

func without(programs bool) string {
	if programs {
		return " without its programs (hooks, commands of facts and path_hint)"
	}
	return ""
}

// notRun is the error of a document that others could have written, where something better runs; nil: nobody could.
func notRun(doubt string) error {
	if doubt == "" {
		return nil
	}
	return errors.New("others could have written it: " + doubt)
}

func unusable(unread error, before string) string {
	if unread == nil || errors.Is(unread, ErrNothingKept) {
		return ""
	}
	return before + "the last good configuration cannot be used: " + unread.Error()
}

// file is where the document is read from.
func (o BootOptions) file() string {
	if o.File == "" {
		return DefaultFile
	}
	return o.File
}

func readDocument(o BootOptions) ([]byte, *yaml.Node, *Fault) {
	read := o.ReadFile
	if read == nil {
		read = ReadFile
	}
	src, err := read(o.file())
	if err != nil {
		return nil, nil, &Fault{Message: fmt.Sprintf("cannot read the configuration: %s", err)}
	}
	root, fault := readTree(src)
	return src, root, fault
}

// accept builds the document of a tree; ok is false when something else than serial devices is at fault. Those are taken
// out.
func accept(root *yaml.Node, o ParseOptions, skip map[string]bool) (Booted, bool) {
	is := build(root, o, skip)
	doc, faults := is.doc, is.faults
	byDevice, confined := faults.devices()
	if !confined {
		return Booted{Faults: faults}, false
	}
	b := Booted{Document: doc, Faults: faults, Objections: is.objections, Disabled: map[string]string{},
		Store: NewStore(doc.StateDir)}
	for name, its := range byDevice {
		delete(doc.Serial, name)
		b.Disabled[name] = its.Sentence()
	}
	for _, w := range is.warnings {
		if byDevice[w.Device] == nil {
			b.Warnings = append(b.Warnings, w)
		}
	}
	if len(b.Disabled) > 0 {
		b.ConfigError = fmt.Sprintf("config_error: serial device %s disabled: %s", strings.Join(sortedKeys(b.Disabled), ", "),
			faults.Sentence())
	}
	return b, true
}

// lastGood is the document that was kept. The environment may have gone bad instead of the file: variables at fault are
// left out. Where others could have written it, doubt says who, and it is without programs. err is why it cannot be used.
func lastGood(store *Store, o ParseOptions) (_ Booted, doubt string, err error) {
	src, doubt, err := store.LoadGood()
	if err != nil {
		return Booted{}, "", err
	}
	root, fault := readTree(src)
	if fault != nil {
		return Booted{}, "", errors.New(fault.Message)
	}
	skip := map[string]bool{}
	for {
		b, ok := accept(root, o, skip)
		if !ok && skipFaulty(b.Faults, skip) {
			continue
		}
		if !ok {
			return Booted{}, "", errors.New(b.Faults.Sentence())
		}
		b.Origin, b.Store = FromLastGood, store
		if doubt != "" {
			b.Document, b.bared = b.Document.withoutPrograms()
		}
		return b, doubt, nil
	}
}

// skipFaulty notes the variables at fault; false when there is no new one.
func skipFaulty(faults Faults, skip map[string]bool) (found bool) {
	for _, f := range faults {
		if f.Env != "" && !skip[f.Env] {
			skip[f.Env], found = true, true
		}
	}
	return found
}
