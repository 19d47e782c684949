package wire

import (
	"errors"
	"slices"
)

// Format is how the records of a device become payloads. Its number lies in spools: it never changes, and no number is
// used again. The zero value is [JSON].
//
// A payload holds one record or several:
//
//	Append → the bytes of one record
//	Single(record) → the payload of a record that travels alone
//	Join(record, record, …) → the payload of a batch
//
// A new format is a constant, a row in forms and in parsers, and the functions of these rows in a file of their own.
type Format byte

// The formats.
const (
	JSON  Format = 0 // an object for each record; a batch is an array of them
	Raw   Format = 1 // the bytes of a frame and nothing else, see [Format.Bare]
	SenML Format = 2 // RFC 8428: a pack, which is an array of entries
)

// form is what one format is.
type form struct {
	name   string // in a configuration
	bare   bool   // see Bare
	units  bool   // see HasUnits
	pack   bool   // a record that travels alone is joined too
	append func(dst []byte, p DeviceRecord) []byte
	join   func(dst []byte, records ...[]byte) []byte // nil: there are no batches
}

// forms is indexed by Format.
func forms() [3]form {
	return [...]form{
		JSON:  {name: "json", append: appendJSONRecord, join: AppendBatch},
		Raw:   {name: "raw", bare: true, append: appendFrame},
		SenML: {name: "senml", units: true, pack: true, append: appendSenMLRecord, join: AppendBatch},
	}
}

// parsers read payloads back. Each refuses what is in another format, but JSON takes anything that has the fields which it
// needs, a gap in SenML among it: it is the last.
func parsers() []func(payload []byte) ([]Record, error) {
	return []func([]byte) ([]Record, error){ParseSenML, ParseRecords}
}

// DeviceRecord is one record on its way into a payload, with what only some formats have a place for.
type DeviceRecord struct {
	Record                     // but for its Body, which is made of Frame
	Frame    []byte            // the bytes of a frame; not used for a gap or for values
	Encoding Encoding          // of Frame, in formats that are text
	Gateway  string            // its id
	Name     string            // of the device
	Units    map[string]string // of measure, by value; see [Format.HasUnits]
}

// record is the record with its frame as text.
func (p DeviceRecord) record() Record {
	r := p.Record
	if r.Gap == nil && r.Measured.IsZero() {
		r.Body, _ = NewBody(p.Frame, p.Encoding)
	}
	return r
}

func appendJSONRecord(dst []byte, p DeviceRecord) []byte { return p.record().Append(dst) }

func appendSenMLRecord(dst []byte, p DeviceRecord) []byte {
	return p.record().AppendSenML(dst, SenMLBase(p.Gateway, p.Name), p.Units)
}

func appendFrame(dst []byte, p DeviceRecord) []byte { return append(dst, p.Frame...) }

// form is the row of a format; the zero form of one that is not known.
func (f Format) form() form {
	if all := forms(); int(f) < len(all) {
		return all[f]
	}
	return form{}
}

// Formats are the names of all formats, in a configuration.
func Formats() (names []string) {
	for _, f := range forms() {
		names = append(names, f.name)
	}
	return names
}

// FormatOf is the format of a name; false when there is none.
func FormatOf(name string) (Format, bool) {
	i := slices.Index(Formats(), name)
	return Format(max(i, 0)), i >= 0
}

// Known is false for the number of a format that this version does not have. Nothing else may be asked of such a one.
func (f Format) Known() bool { return f.form().name != "" }

// String is the name in a configuration.
func (f Format) String() string { return f.form().name }

// Bare is true when a payload is the bytes of a frame and nothing else. It has no number, so there are neither gaps nor
// batches; it has no place for values; and the encoding of the device has no effect.
func (f Format) Bare() bool { return f.form().bare }

// HasUnits is true when the format has a place for units of measure.
func (f Format) HasUnits() bool { return f.form().units }

// Append adds the bytes of one record to dst, for Single or Join.
func (f Format) Append(dst []byte, p DeviceRecord) []byte { return f.form().append(dst, p) }

// Single is the payload of a record that travels alone. It may be record itself.
func (f Format) Single(record []byte) []byte {
	if form := f.form(); form.pack {
		return form.join(nil, record)
	}
	return record
}

// Join adds the payload of a batch to dst: at most one byte for each record and one more than they have. A format that
// is [Format.Bare] has no batches.
func (f Format) Join(dst []byte, records ...[]byte) []byte { return f.form().join(dst, records...) }

// errNoRecords is the error of ParsePayload.
var errNoRecords = errors.New("the payload is of no format that has records")

// ParsePayload reads the records of a payload of any format. An error means that it is bare bytes, or of a format that
// this version does not have; one that wraps [ErrTooMuch], that it has more than is read.
func ParsePayload(p []byte) ([]Record, error) {
	if !isJSON(p) {
		return nil, errNoRecords
	}
	for _, parse := range parsers() {
		records, err := parse(p)
		if err == nil || errors.Is(err, ErrTooMuch) {
			return records, err
		}
		if errors.Is(err, ErrMalformed) {
			return nil, err
		}
	}
	return nil, errNoRecords
}
