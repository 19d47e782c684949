package printable

import (
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/linkbeat/linkbeat/agent/printable/printabletest"
)

// Where a document is cut into pieces does not show: joiners between the signs of an emoji, or of letters, stay what they were.
func TestPiecesOfADocumentShowAsTheWholeDoes(t *testing.T) {
	for name, s := range map[string]string{
		"emoji":       "x👩\u200d👩\u200d👧❤\ufe0fy",
		"letters":     "xن\u200cم\u200cی",
		"a lone one":  "x\u200dy\u200c\ufe0f",
		"escapes":     `x\u001b\\\"\n\ud83d\ude00`,
		"bidi and C1": "x\u202e\u2066\u0080\u009by",
		"no UTF-8":    "x\xff\xe2\x80\xf0\x9f\x91y",
		"beyond":      "x\U000e0041\U000e007fy漢字21 °C",
		"all":         "x" + printabletest.Join(printabletest.Text()),
	} {
		most := 0
		whole := string(AppendJSON(nil, []byte(`"`+s+`"`), most))
		for n := piece - len(s) - 3; n <= piece+3; n++ {
			pad := strings.Repeat("a", max(n, 0))
			got := string(AppendJSON(nil, []byte(`"`+pad+s+`"`), most))
			if want := `"` + pad + whole[1:]; got != want {
				t.Fatalf("%s, behind %d bytes: %q, want %q", name, n, got[len(pad):], want[len(pad):])
			}
			var out strings.Builder
			if name != "no UTF-8" && name != "escapes" { // which encoding/json writes in another way
				err := Encode(&out, pad+s, false)
				if err != nil || strings.TrimSuffix(out.String(), "\n") != got && name != "all" {
					t.Fatalf("%s, encoded behind %d bytes: %v", name, n, err)
				}
			}
		}
	}
}

// A stranger chooses how many of its bytes are escaped: four of them became six, or thirteen copies of the whole.
func TestADocumentThatIsAllEscapedTakesNoRoom(t *testing.T) {
	for _, unit := range []string{"\u0080", "\u202e", "\U000e0041", "\x01", "a"} {
		v := strings.Repeat(unit, 4<<20/len(unit))
		var before, after runtime.MemStats
		if err := Encode(io.Discard, v, false); err != nil { // encoding/json keeps its buffer for the next one
			t.Fatal(err)
		}
		runtime.ReadMemStats(&before)
		w := &largest{}
		_, _ = documents{w}.Write([]byte(v))
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 12<<20 { // v as bytes, and the pieces one after the other
			t.Errorf("%q: %d bytes were allocated", unit, n)
		}
		if w.most > 6*piece+64 {
			t.Errorf("%q: %d bytes in one piece", unit, w.most)
		}
	}
}

type largest struct{ most int }

func (w *largest) Write(p []byte) (int, error) { w.most = max(w.most, len(p)); return len(p), nil }
