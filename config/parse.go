package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"

	"go.yaml.in/yaml/v3"

	"github.com/linkbeat/linkbeat/transport/capped"
	"github.com/linkbeat/linkbeat/transport/secretfile"
)

// ParseOptions is what a document may draw on besides its text. The zero value gives it nothing.
type ParseOptions struct {
	// Env looks up the variables of ${NAME}. If nil, none is set.
	Env func(name string) (string, bool)
	// Environ is NAME=value like os.Environ; the LINKBEAT_ ones override keys. If nil, none does.
	Environ []string
	// Known are LINKBEAT_ variables that mean something else to the caller and are no overrides.
	Known []string
	// CheckFile says why a file that the document names cannot be read. If nil, files are not looked at: linkbeat check
	// does, linkbeat run does not, since they may come later.
	CheckFile func(path string) error
	// Mode is the mode of a file with a secret in it, to warn of one that is open to others; false: it is not there, or not a
	// file. If nil, none is looked at.
	Mode func(path string) (fs.FileMode, bool)
	// File is where the document stands; "" where that is not known.
	File string
}

// FromOS are the options of the running process: its environment, and of files only whom they are open to.
func FromOS() ParseOptions {
	return ParseOptions{Env: os.LookupEnv, Environ: os.Environ(), Mode: secretfile.Mode}
}

// ReadFile reads a file that may be a document: no more of it than a document may have.
func ReadFile(name string) ([]byte, error) { return capped.ReadFile(name, maxSource) }

// CheckReadable is a CheckFile that opens the file, which must be a regular one, and closes it again.
func CheckReadable(path string) error {
	var pe *os.PathError
	info, err := os.Stat(path)
	if errors.As(err, &pe) {
		return pe.Err // without the path: it may be a password in the wrong place
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait for its other end
		return errors.New("not a regular file")
	}
	f, err := os.Open(path)
	if errors.As(err, &pe) {
		return pe.Err
	}
	return f.Close()
}

// Parse reads a document strictly. The error is [Faults], all of them at once, and then the document is nil. Warnings are
// faults that do no harm. Neither holds a secret.
func Parse(src []byte, o ParseOptions) (*Document, []Fault, error) {
	root, syntax := readTree(src)
	if syntax != nil {
		return nil, nil, Faults{*syntax}
	}
	b := build(root, o, nil)
	if faults := append(b.faults, b.objections...); len(faults) > 0 {
		faults.sort()
		return nil, b.warnings, faults
	}
	return b.doc, b.warnings, nil
}

// built is what was understood of a tree, and what is wrong with it.
type built struct {
	doc        *Document // also when there are faults
	warnings   Faults
	faults     Faults
	objections Faults // to what may run at the start, as it did in earlier versions; to others they are faults
}

// build lays tree and environment over the defaults and checks the whole. Variables in skip do not override.
func build(root *yaml.Node, o ParseOptions, skip map[string]bool) built {
	d := &decoder{env: o.Env, positions: map[string]*pos{}}
	doc := Defaults()
	if root != nil {
		d.value(at{pos: &pos{line: root.Line}}, root, reflect.ValueOf(doc).Elem())
	}
	d.override(doc, o, skip)
	d.variable, d.device = "", ""
	check(d, doc, o)
	d.faults.sort()
	d.warnings.sort()
	d.objections.sort()
	return built{doc, d.warnings, d.faults, d.objections}
}

// readTree parses YAML; nil for an empty file.
func readTree(src []byte) (*yaml.Node, *Fault) {
	if len(src) > maxSource {
		return nil, &Fault{Message: fmt.Sprintf("the file has %d bytes, at most %d are read", len(src), maxSource)}
	}
	dec := yaml.NewDecoder(bytes.NewReader(src))
	var doc, more yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, syntaxFault(src, err)
	}
	switch err := dec.Decode(&more); {
	case err == nil:
		return nil, &Fault{Line: more.Line, Message: "a second document starts here: one file is one document, without ---"}
	case !errors.Is(err, io.EOF):
		return nil, syntaxFault(src, err)
	}
	if len(doc.Content) == 0 {
		return nil, nil
	}
	return doc.Content[0], nil
}
