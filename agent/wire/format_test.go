package wire

import (
	"bytes"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

// The numbers lie in spools of gateways in the field.
func TestFormatsKeepTheirNumbers(t *testing.T) {
	names := Formats()
	for number, name := range []string{"json", "raw", "senml"} {
		if f, ok := FormatOf(name); !ok || int(f) != number || names[number] != name || f.String() != name || !f.Known() {
			t.Errorf("%s has the number %d (%v)", name, f, ok)
		}
	}
	if f, ok := FormatOf("toml"); ok || f != JSON {
		t.Errorf("%d, %v", f, ok)
	}
	if Format(len(names)).Known() || Format(255).Known() {
		t.Error("a number of no format is known")
	}
	if !Raw.Bare() || JSON.Bare() || SenML.Bare() || !SenML.HasUnits() || JSON.HasUnits() {
		t.Error("raw alone is bare, and senml has units")
	}
}

// drawDeviceRecord is any record that a gateway can make.
func drawDeviceRecord(t *rapid.T) DeviceRecord {
	r := drawRecord(t)
	p := DeviceRecord{Record: r, Gateway: "gw-7", Name: "meter"}
	if r.Gap == nil && r.Measured.IsZero() {
		p.Frame, _ = r.Bytes()
		p.Body, p.Encoding = Body{}, rapid.SampledFrom([]Encoding{Text, Hex, Base64}).Draw(t, "encoding")
	}
	return p
}

// Whatever the format, records come back, alone and in a batch, and a batch is no longer than is promised.
func TestEveryFormatComesBack(t *testing.T) {
	for _, name := range Formats() {
		f, _ := FormatOf(name)
		if f.Bare() {
			continue
		}
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			var records [][]byte
			var want []DeviceRecord
			size := 1
			for range rapid.IntRange(1, 4).Draw(t, "records") {
				p := drawDeviceRecord(t)
				record := f.Append([]byte("before"), p)[len("before"):]
				want, records, size = append(want, p), append(records, record), size+len(record)+1
			}
			batch := f.Join(nil, records...)
			if len(batch) > size {
				t.Fatalf("%d bytes, %d were promised", len(batch), size)
			}
			checkBack(t, batch, want)
			checkBack(t, f.Single(records[0]), want[:1])
		}))
	}
}

func checkBack(t *rapid.T, payload []byte, want []DeviceRecord) {
	back, err := ParsePayload(payload)
	if err != nil || len(back) != len(want) {
		t.Fatalf("%d records (%v) of %s", len(back), err, payload)
	}
	for i, p := range want {
		r := back[i]
		frame, _ := r.Bytes()
		if r.Seq != p.Seq || r.Epoch != p.Epoch || r.Late != p.Late || !reflect.DeepEqual(r.Gap, p.Gap) ||
			!bytes.Equal(frame, p.Frame) || !reflect.DeepEqual(decoded(string(appendJSON(nil, r.Measured))),
			decoded(string(appendJSON(nil, p.Measured)))) {
			t.Fatalf("%+v became %+v by %s", p, r, payload)
		}
	}
}

func TestRawIsTheFrame(t *testing.T) {
	frame := []byte("\x00\xff[")
	if got := Raw.Single(Raw.Append(nil, DeviceRecord{Frame: frame, Encoding: Hex})); !bytes.Equal(got, frame) {
		t.Errorf("%q", got)
	}
	if records, err := ParsePayload(frame); err == nil {
		t.Errorf("%+v", records)
	}
	if _, err := ParsePayload([]byte(`{"some":"json"}`)); err == nil {
		t.Error("an object of a device is taken for a record")
	}
}

// What passes for records of some format can be written as JSON.
func FuzzParsePayload(f *testing.F) {
	f.Add([]byte(`{"seq":1,"ts":2,"epoch":"3f2a9c1e","text":"x"}`))
	f.Add([]byte(`[{"bn":"gw/m/","n":"frame","vs":"x","seq":1,"epoch":"e"}]`))
	f.Fuzz(func(t *testing.T, p []byte) {
		records, _ := ParsePayload(p)
		for _, r := range records {
			if back, err := ParseRecords(r.Append(nil)); err != nil || len(back) != 1 {
				t.Fatalf("%s: %v", r.Append(nil), err)
			}
		}
	})
}
