// Package secretfile is what all readers of files with passwords and keys have in common: an error does not repeat a name, which
// may be the secret itself, typed where the name belongs; and whom the file's mode lets read it.
package secretfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/linkbeat/linkbeat/transport/capped"
)

// Name is the name of a file as a document has it. It shows only what looks like one: an absolute path of two parts or more, or
// the name of a certificate.
type Name string

// String is the name, or <secret>.
func (n Name) String() string {
	if n == "" || n.looksLikePath() {
		return string(n)
	}
	return "<secret>"
}

// GoString hides what String does.
func (n Name) GoString() string { return `"` + n.String() + `"` }

// MarshalText hides what String does, from JSON and YAML.
func (n Name) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// looksLikePath is false for much of what is one, and never true for what may be a password in base64.
func (n Name) looksLikePath() bool {
	text := string(n)
	if strings.IndexFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune("=+\"'", r) }) >= 0 {
		return false
	}
	if strings.HasPrefix(text, "/") {
		return strings.Contains(strings.Trim(text, "/"), "/")
	}
	switch path.Ext(text) {
	case ".pem", ".crt", ".cer", ".key":
		return true
	}
	return false
}

// unnamed is an error of opening or reading a file, without a name that looks like none.
type unnamed struct{ path *fs.PathError }

// Error says why the file cannot be read.
func (u unnamed) Error() string {
	if Name(u.path.Path).looksLikePath() {
		return u.path.Error()
	}
	return "the file it names cannot be read: " + u.path.Err.Error()
}

// Unwrap is the error with the name.
func (u unnamed) Unwrap() error { return u.path }

// Why is an error of the file system without a name that looks like none; any other stays as it is.
func Why(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return unnamed{p}
	}
	return err
}

// Read is capped.ReadFile; its error is that of Why.
func Read(name string, most int64) ([]byte, error) {
	p, err := capped.ReadFile(name, most)
	return p, Why(err)
}

// Mode looks at the mode of a regular file; false for anything else, whose mode says nothing.
func Mode(name string) (fs.FileMode, bool) {
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() {
		return 0, false
	}
	return info.Mode().Perm(), true
}

const (
	othersRead  = 0o004
	othersWrite = 0o002
	others      = 0o007
)

// Open says that others than its owner and its group can read or change a file of that mode, and the command that mends it;
// empty: they cannot. The group may: 0640 root:linkbeat is how an agent without root reads a password.
func Open(name string, mode fs.FileMode) string {
	what := ""
	switch {
	case mode&othersRead != 0:
		what = "every user of this machine can read it"
	case mode&othersWrite != 0:
		what = "every user of this machine can change it"
	default:
		return ""
	}
	return fmt.Sprintf("%s: chmod %04o %s", what, mode.Perm()&^others, quoted(name))
}

// quoted is a name as a shell takes it.
func quoted(name string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-", r)
	}
	if name != "" && name[0] != '-' && strings.IndexFunc(name, func(r rune) bool { return !plain(r) }) < 0 {
		return name
	}
	return "-- '" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}
