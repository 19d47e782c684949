package wire

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// drawRecord is any record that a gateway can make, as its SenML comes back: bytes as text, or else as base64.
func drawRecord(t *rapid.T) Record {
	name := rapid.StringMatching(`[a-z]{1,4}[0-9]`)
	r := Record{Seq: rapid.Uint64Range(1, 1<<53).Draw(t, "seq"),
		TS: rapid.OneOf(rapid.Int64Range(senMLAbsolute*1000, 1<<42), rapid.Just(int64(0))).Draw(t, "ts"), Epoch: "3f2a9c1e",
		Late: rapid.Bool().Draw(t, "late"), Unsynced: rapid.Bool().Draw(t, "unsynced")}
	switch rapid.IntRange(0, 3).Draw(t, "kind") {
	case 0:
		r.Body, _ = NewBody([]byte(rapid.String().Draw(t, "text")), Text)
	case 1:
		r.Body, _ = NewBody(rapid.SliceOfN(rapid.Byte(), 1, 20).Draw(t, "bytes"), Base64)
	case 2:
		r.Gap = &Gap{From: 1, To: 2, Reason: "full"}
	default:
		value := rapid.Custom(func(t *rapid.T) json.RawMessage {
			v := rapid.OneOf(rapid.Int32().AsAny(), rapid.Bool().AsAny(), rapid.StringMatching(`[ -~]*`).AsAny()).Draw(t, "value")
			return appendJSON(nil, v)
		})
		r.Values = rapid.MapOfN(name, value, 1, 4).Draw(t, "values")
		r.Bad = rapid.MapOfN(name, rapid.Just("timeout"), 1, 2).Draw(t, "bad")
	}
	return r
}

func TestEverySenMLRecordComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var want []Record
		var packs [][]byte
		for range rapid.IntRange(1, 4).Draw(t, "records") {
			r := drawRecord(t)
			want = append(want, r)
			packs = append(packs, r.AppendSenML(nil, SenMLBase("gw", "boiler"), nil))
		}
		pack := AppendBatch(nil, packs...)
		got, err := ParseSenML(pack)
		if err != nil || len(got) != len(want) {
			t.Fatalf("%v: %s", err, pack)
		}
		for i := range want {
			a, b := string(want[i].Append(nil)), string(got[i].Append(nil))
			if a != b && !reflect.DeepEqual(decoded(a), decoded(b)) {
				t.Fatalf("%s became %s by %s", a, b, pack)
			}
		}
		if _, err := ParseSenML(AppendBatch(nil, want[0].Append(nil))); err == nil {
			t.Fatalf("a batch of our own is taken for a pack")
		}
	})
}

// decoded is JSON without its escapes, of which there is more than one spelling.
func decoded(s string) (v map[string]any) {
	_ = json.Unmarshal([]byte(s), &v)
	return v
}

func TestSenMLFaults(t *testing.T) {
	for _, tt := range []struct{ pack, want string }{
		{`{}`, "pack"},
		{`null`, "no array"},
		{`[]`, "empty"},
		{`[{"n":"a","v":1}]`, "no seq"},
		{`[{"n":"a","v":1,"seq":1,"bt":"x"}]`, "base time"},
		{`[{"n":"a","v":1,"seq":1,"bt":1}]`, "no epoch"},
		{`[{"n":"a","seq":1,"bt":1,"epoch":"e"}]`, "no number"},
		{`[{"n":"frame","vd":"!","seq":1,"bt":1,"epoch":"e"}]`, "frame"},
	} {
		if r, err := ParseSenML([]byte(tt.pack)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, %v", tt.pack, r, err)
		}
	}
}

func TestAClockThatWasNotSetTellsNoTime(t *testing.T) {
	for _, ts := range []int64{-5, 0, 12345, senMLAbsolute*1000 - 1} {
		r := Record{Seq: 1, TS: ts, Epoch: "e", Unsynced: true,
			Measured: Measured{Values: map[string]json.RawMessage{"u": json.RawMessage("1")}}}
		want := `{"bn":"gw/m/","n":"u","v":1,"seq":1,"epoch":"e","unsynced":true}`
		if got := string(r.AppendSenML(nil, "gw/m/", nil)); got != want {
			t.Errorf("%d: %s", ts, got)
		}
	}
}

func FuzzParseSenML(f *testing.F) {
	f.Add([]byte(
		`[{"bn":"gw/m/","bt":1795208591.123,"n":"u","u":"V","v":230.4,"seq":1,"epoch":"3f2a9c1e"},{"n":"i/bad","vs":"timeout"}]`))
	f.Fuzz(func(t *testing.T, p []byte) {
		records, err := ParseSenML(p)
		if err != nil {
			return
		}
		if slices.ContainsFunc(records, func(r Record) bool { return r.check() != nil }) {
			t.Fatalf("accepted what no record may be: %s", p)
		}
	})
}
